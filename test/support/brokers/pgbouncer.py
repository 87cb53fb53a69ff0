"""A real PgBouncer before a PostgreSQL of the tests."""

import os

from .postgresql import PASSWORD, USER, unprivileged
from ..process import Process, free_port, need


class PgBouncer(Process):
    """`pool_mode` is when a client gives its server connection back: at the end of a `session` or of a `transaction`."""

    name = "pgbouncer"

    def __init__(self, broker, pool_mode, pool_size):
        super().__init__()
        self.program = need("pgbouncer")
        self.user, self.prefix = unprivileged()  # it refuses to be root's, too
        self.port = free_port()
        self.configuration = self._write("pgbouncer.ini", f"""[databases]
{USER} = host=127.0.0.1 port={broker.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.folder}/users
pool_mode = {pool_mode}
default_pool_size = {pool_size}
""")
        self._write("users", f'"{USER}" "{PASSWORD}"\n')
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)

    def _write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(content)
        os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def command(self):
        return [*self.prefix, self.program, self.configuration]

    def ready(self):
        return "process up" in self.log()

    def logins(self):
        """How many clients have connected so far."""
        return self.log().count("login attempt")
