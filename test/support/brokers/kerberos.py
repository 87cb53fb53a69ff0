"""A real Kerberos (MIT): a KDC with a realm of its own, and a Kafka that takes its tickets."""

import base64
import os
import pathlib
import socket
import subprocess

from .kafka import Kafka
from ..process import Process, free_port, need


class Kdc(Process):
    """Clients and servers find it by `krb5_conf`, a path. Its log has each ticket that it gave or refused."""

    name = "kdc"
    realm = "EXAMPLE.TEST"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.krb5_conf = self._write("krb5.conf", f"""
[libdefaults]
    default_realm = {self.realm}
    dns_lookup_kdc = false
    dns_canonicalize_hostname = false
    rdns = false
[realms]
    {self.realm} = {{
        kdc = 127.0.0.1:{self.port}
    }}
""")
        self._write("kdc.conf", f"""
[kdcdefaults]
    kdc_listen = 127.0.0.1:{self.port}
    kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
    {self.realm} = {{
        database_name = {self.folder}/principals
        key_stash_file = {self.folder}/stash
        acl_file = {self.folder}/acl
    }}
[logging]
    kdc = FILE:{self.folder}/tickets
""")

    def _write(self, name, content):
        path = pathlib.Path(self.folder, name)
        path.write_text(content)
        return path

    def environment(self):
        return {**os.environ, "KRB5_CONFIG": os.fspath(self.krb5_conf), "KRB5_KDC_PROFILE": f"{self.folder}/kdc.conf"}

    def _run(self, *words):
        subprocess.run(words, env=self.environment(), check=True, capture_output=True, text=True, timeout=60)

    def __enter__(self):
        try:
            self._run(need("kdb5_util"), "create", "-s", "-P", "master key", "-r", self.realm)
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_):
        self.remove()

    def command(self):
        return [need("krb5kdc"), "-n"]

    def ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def keytab(self, principal):
        """The path of one with new keys of this principal, who is added; older keytabs are no longer valid."""
        path = pathlib.Path(self.folder, principal.replace("/", "_") + ".keytab")
        path.unlink(missing_ok=True)
        for query in (f"addprinc -randkey {principal}", f"ktadd -k {path} {principal}"):
            self._run(need("kadmin.local"), "-r", self.realm, "-q", query)
        return path

    def keytab_text(self, principal):
        return base64.b64encode(self.keytab(principal).read_bytes()).decode()

    def tickets(self, client, service):
        """How many were given to this client for this service."""
        names = f"{client}@{self.realm} for {service}@{self.realm}"
        lines = pathlib.Path(self.folder, "tickets").read_text().splitlines()
        return len([line for line in lines if "ISSUE" in line and line.endswith(names)])


class KerberosKafka(Kafka):
    """One broker; `secured` is its port for clients with a ticket."""

    def __init__(self, kdc):
        super().__init__()
        [node] = self.nodes
        keytab, port = kdc.keytab("kafka/localhost"), free_port()
        self.secured = f"localhost:{port}"
        plain, secured = f"PLAINTEXT://127.0.0.1:{node.port}", f"SASL_PLAINTEXT://{self.secured}"
        node.variables["JDK_JAVA_OPTIONS"] = f"-Djava.security.krb5.conf={kdc.krb5_conf}"
        node.set({
            "listeners": f"{plain},{secured},CONTROLLER://127.0.0.1:{node.controller_port}",
            "advertised.listeners": f"{plain},{secured}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.kerberos.service.name": "kafka",
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "GSSAPI",
            "listener.name.sasl_plaintext.gssapi.sasl.jaas.config":
                "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true "
                f'keyTab="{keytab}" principal="kafka/localhost@{kdc.realm}";',
        })
