"""Whoever owns an account, as they sign in: what they sign, by what docs/store-format.md says, and the requests to the
vault that `web` makes for them, by docs/ipc.md."""
import base64
import hashlib
import os
import struct
import time

import nacl.signing
from store_format import dump

INVITATION, PASSWORD, PHRASE = 1, 2, 3
GENERATOR = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")  # RFC 9496 section 4


def sha256(octets):
    return hashlib.sha256(octets).digest()


def uuid_of(i, tmp_path):
    return dump(i.dir / "store/data.mdb", "kv", tmp_path)[bytes(8) + b"V"][12:28]


class Holder:
    """Of a password and a recovery phrase that nobody knows."""

    def __init__(self):
        self.password, self.phrase = nacl.signing.SigningKey.generate(), nacl.signing.SigningKey.generate()
        self.record = GENERATOR + os.urandom(160)

        self.profile = b"\x01"

    def keys(self):
        return bytes(self.password.verify_key) + bytes(self.phrase.verify_key)

    def sign(self, uuid, account, serial, new, password=b"", phrase=b"", by=PASSWORD):
        """That the record becomes another holder's, with these envelopes."""
        text = (b"Letterlock sign-in v1" + uuid + struct.pack(">QIB", account, serial, 1) + new.record +
                new.profile + new.keys() + sha256(password) + sha256(phrase))
        return (self.password if by == PASSWORD else self.phrase).sign(text).signature

    def sign_wrapped(self, uuid, account, serial, kind, ident, envelope):
        text = (b"Letterlock sign-in v1" + uuid + struct.pack(">QIBB16s", account, serial, 2, kind, ident) +
                sha256(envelope))
        return self.password.sign(text).signature


def token_of(printed):
    """An invitation's, as `letterlock invite` prints it."""
    text = printed.decode().strip()
    assert len(text) == 22
    return base64.urlsafe_b64decode(text + "==")


def signin_set(account, proof, secret, serial, new, password=b"", phrase=b""):
    return struct.pack(">QB64sI", account, proof, secret, serial) + new.profile + new.record + new.keys() + struct.pack(
        ">II", len(password), len(phrase))


def wrapped_put(account, proof, secret, serial, kind, ident, envelope):
    return struct.pack(">QB64sIB16sI", account, proof, secret, serial, kind, ident, len(envelope))


def session_add(account, name, version, label=b"browser"):
    """name: 16 octets, which stand for the hash of a token."""
    return struct.pack(">Q16sIBQI", account, name, version, 1, int(time.time()) + 86400, len(label)) + label


def factor_put(account, name, secret=bytes(20), label=b""):
    """TOTP."""
    factor = struct.pack(">BIBQ128s20sQ", 1, 0, 1, 0, label, secret, 0)
    return struct.pack(">Q16sI", account, name, len(factor)) + factor


def sign_up(i, ask, account, address, envelope, label):
    """One of each: a record, an envelope, a session, a second factor; and another invitation, which stays. ask: what
    answers (name, payload, octets)."""
    token = token_of(i.run("invite", address).stdout) + bytes(48)
    ask("VAULT_SIGNIN_SET", signin_set(account, INVITATION, token, 0, Holder(), envelope), envelope)
    name = os.urandom(16)
    ask("VAULT_SESSION_ADD", session_add(account, name, 1, label), b"")
    ask("VAULT_FACTOR_PUT", factor_put(account, name, label=label), b"")
    i.run("invite", address, "--reset")


def app_password_add(account, name, hashed, scopes, stored=bytes(32), server=bytes(32), label=b"x"):
    return struct.pack(">Q16s16sB32s32sI", account, name, hashed, scopes, stored, server, len(label)) + label
