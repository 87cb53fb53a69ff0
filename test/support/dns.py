"""A DNS server of one name, as of a headless Service: its addresses are those of the pods that are ready."""

import socket
import struct
import threading


class HeadlessName:
    """`addresses` may change at any time. gRPC asks it where the target is `target(port)`."""

    TTL_SECONDS = 5

    def __init__(self, *addresses):
        self.addresses = list(addresses)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def target(self, port):
        return f"dns://127.0.0.1:{self.socket.getsockname()[1]}/backlog.keda.svc:{port}"

    def __enter__(self):
        self.socket.bind(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
                self.socket.sendto(self._response(query), client)
            except OSError:
                return

    def _response(self, query):
        """The question again, and an A record for each address; none for other types."""
        end = 12
        while query[end]:
            end += query[end] + 1
        question, [kind] = query[12:end + 5], struct.unpack(">H", query[end + 1:end + 3])
        addresses = list(self.addresses) if kind == 1 else []
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, self.TTL_SECONDS, 4) + socket.inet_aton(address)
                           for address in addresses)
        return query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0) + question + records
