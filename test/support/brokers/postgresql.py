"""A real PostgreSQL, apart from every other one on this machine: its folder, its port, its users."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess

from ..process import PROGRAMS, Process, Unavailable, free_port, need

USER = "backlog"
PASSWORD = "the-right-word"


def program(name):
    """Debian keeps the server's programs, of any version, out of PATH."""
    if os.access(os.path.join(PROGRAMS, name), os.X_OK):
        return need(name)
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else need(name)


def unprivileged():
    """PostgreSQL refuses to be root's: whose it is then, and the words before a command that make it so."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()), []
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user, [need("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    raise Unavailable("no user postgres or nobody, and PostgreSQL refuses to be root's")


class PostgreSQLSession:
    """`statements` answer a line when they are done."""

    def __init__(self, command, statements):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.child.stdin.write(statements + "\n")
        self.child.stdin.flush()
        if not self.child.stdout.readline():
            self.close()
            raise RuntimeError(f"psql ended with {self.child.returncode}")

    def close(self):
        with contextlib.suppress(OSError):
            self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()


class PostgreSQL(Process):
    """Over TCP every user needs its password; tests rule it over a socket in its folder."""

    name = "postgresql"

    def __init__(self, configuration="", files=(), disk=None):
        """`files` are names and contents of files beside its data that it alone may read. `disk`, a SmallDisk, has its data."""
        super().__init__()
        self.files = dict(files)
        self.initdb, self.postgres, self.psql = program("initdb"), program("postgres"), program("psql")
        self.user, self.prefix = unprivileged()
        self.port = free_port()
        self.data = self.seen_data = os.path.join(self.folder, "data")
        self.disk = disk
        if disk:
            self.data = os.path.join(disk.path, "data")
            self.seen_data = disk.outside(self.data)
            self.prefix = [*disk.enter, *self.prefix]
        self.configuration = configuration

    def start(self):
        if not os.path.isdir(self.seen_data):
            self._create()
        return super().start()

    def _create(self):
        os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        for name, content in self.files.items():
            path = os.path.join(self.folder, name)
            with open(path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(content)
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        subprocess.run([*self.prefix, self.initdb, "--pgdata", self.data, "--username", "postgres",
                        "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync",
                        *(["--wal-segsize", "1"] if self.disk else [])],
                       check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        with open(os.path.join(self.seen_data, "pg_hba.conf"), "w") as file:
            file.write("local all,replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        with open(os.path.join(self.seen_data, "postgresql.conf"), "a") as file:
            file.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                       f"unix_socket_directories = '{self.folder}'\nfsync = off\n{self.configuration}\n")

    def command(self):
        return [*self.prefix, self.postgres, "-D", self.data]

    def is_alive(self):
        return self.child.poll() is None

    def ready(self):
        if not self.sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{USER}'"):
            self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'",
                     f"CREATE DATABASE {USER} OWNER {USER}")
        return True

    def sql(self, *statements, database="postgres"):
        """Runs them as the superuser; what the last one answered, a list of texts a row."""
        words = [word for statement in statements for word in ("-c", statement)]
        done = subprocess.run(
            [self.psql, "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
             "-p", str(self.port), "-U", "postgres", "-d", database, *words],
            check=True, capture_output=True, text=True, timeout=30)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def open_session(self, statements, database="postgres"):
        """A superuser's session that has run them, and lives until it is closed."""
        return PostgreSQLSession([self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
                                  "-p", str(self.port), "-U", "postgres", "-d", database], statements)

    def sessions(self):
        """The server processes of sessions that call themselves backlog."""
        return [int(pid) for [pid] in self.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'backlog'")]

    def receive_wal(self, slot):
        """The command of somebody who follows what is written, as a replica does."""
        return [*self.prefix, program("pg_receivewal"), "-D", self.folder, "--slot", slot, "-h", self.folder,
                "-p", str(self.port), "-U", "postgres"]

    def url(self, password=PASSWORD, port=None, user=USER):
        return f"postgresql://{user}:{password}@127.0.0.1:{port or self.port}/{USER}?sslmode=disable"

    # Each session has a process group of its own.

    def _family(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
            return [self.pid, *map(int, children.read().split())]

    def signal(self, number):
        """To all of it where it must not have a say, or else to the one that leads."""
        leader_alone = number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)
        for pid in [self.pid] if leader_alone else self._family():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def __exit__(self, *_):
        """Killed: nothing of it is kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
