"""What the tests of keys share: readers' keys with the lives that the tests need, and waiting for what comes by
itself."""
import email
import json
import os
import re
import shutil
import sys
import time

import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402


def write(path, data):
    path.write_bytes(data)
    return path


class Ring(harness.Keyring):
    """A reader's keys."""

    def make(self, name, expires="2y", at=None):
        """A pair whose fingerprint is returned. at: the time at which it was made, as gpg takes it."""
        before = set(self.all())
        self.unasked(*(["--faked-system-time", at] if at else []), "--yes", "--quick-gen-key", name, "future-default",
                     "default", expires)
        return next(f for f in self.all() if f not in before)

    def all(self):
        out = self.gpg("--with-colons", "--list-keys").stdout.decode()
        return re.findall(r"^pub:.*\n(?:fpr):+([0-9A-F]+):", out, re.M)

    def extend(self, fpr, expires, *which):
        self.unasked("--quick-set-expire", fpr, expires)
        self.unasked("--quick-set-expire", fpr, expires, "*")

    def add_subkey(self, fpr):
        time.sleep(1)  # the newest counts, in seconds
        self.unasked("--quick-add-key", fpr, "cv25519", "encr", "2y")

    def revocation(self, fpr, guarded=False):
        text = (self.path / "openpgp-revocs.d" / f"{fpr}.rev").read_bytes()
        return text if guarded else text.replace(b":-----BEGIN", b"-----BEGIN")

    def revoked(self, fpr):
        """The certificate with its revocation, as its owner would publish it."""
        self.gpg("--import", data=self.revocation(fpr))
        return self.export(fpr)


@pytest.fixture(scope="module")
def ring():
    r = Ring(f"/dev/shm/letterlock-keys-{os.getpid()}")
    yield r
    r.close()
    shutil.rmtree(r.path, ignore_errors=True)


def account(i, ring, tmp_path, name, fpr):
    address = f"{name}@{harness.DOMAIN}"
    i.run("account", "add", address, "--key", write(tmp_path / f"{fpr}.asc", ring.export(fpr)))
    i.app_password(address)
    return address


def told(i, ring, address, fpr):
    """The newest message in INBOX tells of that key and was not sealed to it; then it is gone."""
    assert keys(i, address)[fpr]["messages"] == 0
    uid, rendered = max(i.fetch_all(address).items())
    text = ring.decrypt(harness.armor_of(rendered)).decode()
    assert "Subject: Another key reads your mail from now on" in text and fpr in text
    m = i.imap(address)
    m.select("INBOX")
    m.uid("STORE", str(uid), "+FLAGS", r"\Deleted")
    m.expunge()
    m.logout()


def add(i, ring, tmp_path, address, fpr):
    return i.run("key", "add", address, write(tmp_path / f"{fpr}.asc", ring.export(fpr))).stdout.decode()


def keys(i, address):
    """Fingerprint: what `key list --json` says."""
    return {k["fingerprint"]: k for k in json.loads(i.run("key", "list", address, "--json").stdout)["keys"]}


def states(i, address):
    return {f: k["state"] for f, k in keys(i, address).items()}


def read(ring, rendered):
    """What was inside, and its text."""
    inner = email.message_from_bytes(ring.decrypt(harness.armor_of(rendered)))
    return inner, inner.get_payload(decode=True).decode()


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return got
