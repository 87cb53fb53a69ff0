"""DNS servers of one name."""

import os
import random
import socket
import struct
import threading

from ..process import Unavailable
from ..server.server import Server


class DnsServer:
    """Binds to `address` on entry; a class of it has `answer(query)`, which returns nothing where a packet is lost."""

    TTL_SECONDS = 5

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = ("127.0.0.1", 0)

    def __enter__(self):
        self.bind()
        self.address = self.socket.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def bind(self):
        self.socket.bind(self.address)

    def _serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
                answer = self.answer(query)
                if answer:
                    self.socket.sendto(answer, client)
            except OSError:
                return

    @staticmethod
    def question(query):
        """The name, type and class that it asks for."""
        return query[12:query.index(b"\0", 12) + 5]

    def response(self, query, addresses):
        """The question again, and an A record for each address; none for other types."""
        question = self.question(query)
        [kind] = struct.unpack(">H", question[-4:-2])
        addresses = list(addresses) if kind == 1 else []
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, self.TTL_SECONDS, 4) + socket.inet_aton(address)
                           for address in addresses)
        return query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0) + question + records


class HeadlessName(DnsServer):
    """As of a headless Service: `addresses` are those of the pods that are ready, and may change at any time. gRPC asks it
    where the target is `target(port)`."""

    def __init__(self, *addresses):
        super().__init__()
        self.addresses = list(addresses)

    def target(self, port):
        return f"dns://127.0.0.1:{self.address[1]}/backlog.keda.svc:{port}"

    def answer(self, query):
        return self.response(query, self.addresses)


class NameServer(DnsServer):
    """One that a /etc/resolv.conf can name."""

    def bind(self):
        for _ in range(50):
            address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
            try:
                self.socket.bind((address, 53))  # resolv.conf knows no other port
                return
            except PermissionError as error:
                raise Unavailable("only root may have port 53") from error
            except OSError:
                continue  # somebody else has this address
        raise Unavailable("port 53 is in use on 50 addresses")


class ServerWithDns(Server):
    """Its /etc/resolv.conf names a NameServer."""

    def __init__(self, dns, **options):
        super().__init__(**options)
        self.resolv = os.path.join(self.folder, "resolv.conf")
        with open(self.resolv, "w") as file:
            file.write(f"nameserver {dns.address[0]}\n")

    def command(self):
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, self.resolv, *super().command()]
