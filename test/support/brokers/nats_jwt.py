"""An operator, an account and its user, as nats-server's decentralized authentication has them.

NATS keys are Ed25519 keys in an encoding of their own; openssl makes and uses them here.
"""

import base64
import binascii
import json
import os
import subprocess
import tempfile
import time

from ..process import need

SEED, OPERATOR, ACCOUNT, USER = 18 << 3, 14 << 3, 0, 20 << 3

# RFC 8410: what stands before the 32 bytes of a private and of a public key.
PRIVATE_HEAD = bytes.fromhex("302e020100300506032b657004220420")
PUBLIC_HEAD = bytes.fromhex("302a300506032b6570032100")


def openssl(*arguments, text=None):
    return subprocess.run([need("openssl"), *arguments], input=text, check=True, capture_output=True).stdout


def encode(head, key):
    raw = bytes(head) + key
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def base64url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Key:
    def __init__(self, kind):
        self.private = os.urandom(32)
        public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", text=PRIVATE_HEAD + self.private)
        self.public = encode([kind], public[len(PUBLIC_HEAD):])
        self.seed = encode([SEED | kind >> 5, (kind & 31) << 3], self.private)

    def sign(self, raw):
        with tempfile.TemporaryDirectory() as folder:
            key, data = os.path.join(folder, "key"), os.path.join(folder, "data")
            for path, content in ((key, PRIVATE_HEAD + self.private), (data, raw)):
                with open(path, "wb") as file:
                    file.write(content)
            return openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", key, "-in", data)

    def jwt(self, subject, name, what):
        """Claims about the key `subject`, signed by this one."""
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"},
                 {"jti": name, "iat": int(time.time()), "iss": self.public, "sub": subject, "name": name,
                  "nats": {"version": 2, **what}}]
        text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        return text + "." + base64url(self.sign(text.encode()))


class Operator:
    """`config` is for nats-server; `credentials` is the content of the user's .creds file."""

    def __init__(self):
        operator, system, account, user = Key(OPERATOR), Key(ACCOUNT), Key(ACCOUNT), Key(USER)
        limits = {name: -1 for name in ("subs", "data", "payload", "imports", "exports", "conn", "leaf")}
        storage = {name: -1 for name in ("mem_storage", "disk_storage", "streams", "consumer")}

        def account_jwt(key, name, **more):
            return operator.jwt(key.public, name, {
                "type": "account", "limits": {**limits, "wildcards": True, **more},
                "default_permissions": {"pub": {}, "sub": {}}})

        user_jwt = account.jwt(user.public, "backlog", {
            "type": "user", "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}})
        self.config = f"""
            operator: {operator.jwt(operator.public, "operator", {"type": "operator"})}
            system_account: {system.public}
            resolver: MEMORY
            resolver_preload: {{
                {system.public}: {account_jwt(system, "system")}
                {account.public}: {account_jwt(account, "shop", **storage)}
            }}"""
        # How nats-py signs in without a library for NATS keys.
        self.sign_in = {"user_jwt_cb": user_jwt.encode,
                        "signature_cb": lambda nonce: base64.b64encode(user.sign(nonce.encode()))}
        self.credentials = credentials(user_jwt, user.seed)
        self.credentials_with_another_seed = credentials(user_jwt, Key(USER).seed)


def credentials(jwt, seed):
    return f"""-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
The seed is secret.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------

*************************************************************
"""
