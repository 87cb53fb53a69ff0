"""Certificates for tests of TLS, made by openssl."""

import subprocess

from .process import need


def _openssl(folder, *arguments):
    subprocess.run([need("openssl"), *arguments], cwd=folder, check=True, capture_output=True)


def make_root(folder, name="ca"):
    """NAME.pem and NAME.key."""
    _openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_certificate(folder, name, common_name="127.0.0.1", root="ca", password=None):
    """NAME.pem for 127.0.0.1, and NAME.key, which is PKCS#8 and encrypted where there is a password."""
    hidden = ["-nodes"] if password is None else ["-passout", f"pass:{password}"]
    _openssl(folder, "req", "-newkey", "rsa:2048", *hidden, "-subj", f"/CN={common_name}",
             "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{root}.pem", "-CAkey", f"{root}.key",
             "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem")


def make_certificates(folder):
    """A root, and a certificate of it for 127.0.0.1; the same for the client."""
    make_root(folder)
    make_certificate(folder, "own")
