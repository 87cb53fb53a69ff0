"""Certificates for tests of TLS, made by openssl."""

import datetime
import os
import subprocess

from .process import need


# Python's TLS from 3.13 on takes no authority without it.
ROOT_USE = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]


def _openssl(folder, *arguments):
    subprocess.run([need("openssl"), *arguments], cwd=folder, check=True, capture_output=True)


def make_root(folder, name="ca"):
    """NAME.pem and NAME.key."""
    _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", *ROOT_USE,
             "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_certificate(folder, name, common_name="127.0.0.1", root="ca", password=None, names="IP:127.0.0.1"):
    """NAME.pem for these names, and NAME.key, which is PKCS#8 and encrypted where there is a password."""
    hidden = ["-nodes"] if password is None else ["-passout", f"pass:{password}"]
    _openssl(folder, "req", "-newkey", "rsa:2048", *hidden, "-subj", f"/CN={common_name}",
             "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / "names").write_text(f"subjectAltName={names}\n")
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{root}.pem", "-CAkey", f"{root}.key",
             "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem")


def make_intermediate(folder, name, root="ca"):
    """NAME.pem and NAME.key: an authority whose certificate is the root's."""
    _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / "authority").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n")
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{root}.pem", "-CAkey", f"{root}.key",
             "-CAcreateserial", "-days", "2", "-extfile", "authority", "-out", f"{name}.pem")


def make_certificates(folder, names="IP:127.0.0.1"):
    """A root, and a certificate of it for these names; the same for the client."""
    make_root(folder)
    make_certificate(folder, "own", names=names)


class Authority:
    """A root of its own, which issues certificates for as long as a test lives; all on elliptic curves."""

    EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def __init__(self, folder, name="root"):
        self.folder = str(folder)
        self.name = name
        _openssl(folder, "req", "-x509", *self.EC, "-days", "2", "-subj", f"/CN={name}", *ROOT_USE, "-keyout", f"{name}.key",
                 "-out", f"{name}.pem")

    @property
    def certificate(self):
        return os.path.join(self.folder, f"{self.name}.pem")

    def issue(self, name, common_name="", alternative=("IP:127.0.0.1",), days=2):
        """Returns the paths of certificate and key; `days` may be past."""
        subject = f"/CN={common_name}" if common_name else "/"
        _openssl(self.folder, "req", *self.EC, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        with open(os.path.join(self.folder, f"{name}.extensions"), "w") as file:
            file.write("basicConstraints=CA:FALSE\n")
            if alternative:
                file.write(f"subjectAltName={','.join(alternative)}\n")
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = (f"{now + datetime.timedelta(days=offset):%Y%m%d%H%M%SZ}" for offset in (min(days, 0) - 1, days))
        _openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.pem",
                 "-CAkey", f"{self.name}.key", "-CAcreateserial", "-not_before", begin, "-not_after", end,
                 "-extfile", f"{name}.extensions", "-out", f"{name}.pem")
        return os.path.join(self.folder, f"{name}.pem"), os.path.join(self.folder, f"{name}.key")
