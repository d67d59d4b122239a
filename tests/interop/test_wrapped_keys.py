"""A private key that the server may keep (docs/wrapped-keys.md): wrapped, opened by its secret alone, and without any
server by tools/unwrap.mjs, after which gpg takes it."""
import hashlib
import hmac
import json
import pathlib
import shutil
import subprocess

import harness
import pytest

pytestmark = pytest.mark.needs("node", "gpg", "openssl", "the packages of webmail-api/web (npm)")
HERE = pathlib.Path(__file__).resolve().parent
CHANGED = "Error: this does not open the key, or the wrapped key was changed"
NONE = "Error: this is no wrapped key"
ORDER = "Error: these words do not belong together: is one of them another, or out of order?"


def gpg(home, *args, data=None):
    return subprocess.run(["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "",
                           *args], check=True, input=data, capture_output=True).stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Our code with its packages beside it, and a key of gpg's."""
    place = tmp_path_factory.mktemp("wrapped")
    for name in ("web/session", "tools"):
        shutil.copytree(harness.ROOT / "webmail-api" / name, place / name)
    web = subprocess.run([HERE / "fetch_web"], check=True, capture_output=True, text=True).stdout.strip()
    (place / "web/node_modules").symlink_to(pathlib.Path(web) / "node_modules")
    (place / "gpg").mkdir(mode=0o700)
    gpg(place / "gpg", "--quick-gen-key", "reader@example.org", "future-default")
    (place / "key").write_bytes(gpg(place / "gpg", "--export-secret-keys"))
    (place / "out").mkdir()
    yield place
    subprocess.run(["gpgconf", "--homedir", place / "gpg", "--kill", "all"])


@pytest.fixture(scope="module")
def said(place):
    out = subprocess.run(["node", HERE / "wrap_own.mjs", place / "web", place / "key", place / "out"],
                         capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def test_its_secret_opens_it_and_nothing_else(said):
    assert said["opened"] == [True] * 3
    assert said["others"] == [CHANGED] * 3
    assert said["lengths"] == ["Error: the secret has another length", 38 + 16] * 3
    assert said["salted"]


def test_each_octet_counts(said):
    assert said["changed"] == said["size"] == 40 + 38 + 16
    assert said["none"] == [NONE] * 4 + ["Error: this key was wrapped by a later version"]
    assert said["large"] == "Error: no key, or too large a one"


def test_phrases(said):
    assert said["vectors"]
    assert said["phrases"] == [ORDER, "Error: word 12 is not in the list",
                               "Error: a phrase has 12 words, and this has 13",
                               "Error: a phrase has 12 words, and this has 1", ORDER]
    assert said["signIn"]


def unwrap(place, name, typed):
    return subprocess.run(["node", place / "tools/unwrap.mjs", place / "out" / name], input=typed, capture_output=True)


def test_opened_without_a_server(place, said):
    phrase = (place / "out/phrase").read_bytes()
    for name, typed in {"2": phrase, "text": phrase.upper(), "1": b"01" * 64, "3": b"03" * 32 + b"\n"}.items():
        p = unwrap(place, name, typed)
        assert (p.returncode, p.stderr) == (0, b""), name
        assert p.stdout == (place / "key").read_bytes()
    other = place / "other"
    other.mkdir(mode=0o700)
    gpg(other, "--import", data=p.stdout)
    assert b"reader@example.org" in gpg(other, "--list-secret-keys")
    subprocess.run(["gpgconf", "--homedir", other, "--kill", "all"])


def test_what_is_wrong_is_said(place, said):
    for name, typed, why in [("2", b"zoo " * 12, b"do not belong together"), ("2", b"", b"12 words"),
                             ("1", b"02" * 64, b"does not open"), ("1", b"x", b"in hexadecimal"),
                             ("phrase", b"x", b"no wrapped key"), ("nothing", b"x", b"no such file")]:
        p = unwrap(place, name, typed)
        assert (p.returncode, p.stdout) == (1, b""), name
        assert why in p.stderr and p.stderr.count(b"\n") == 1, p.stderr
    assert subprocess.run(["node", place / "tools/unwrap.mjs"], capture_output=True).returncode == 2


def test_as_the_page_says(place, said):
    """Opened by this page's words and openssl's AES alone."""
    envelope, secret = (place / "out/1").read_bytes(), b"\1" * 64
    prk = hmac.digest(envelope[6:38], secret, "sha512")
    key = hmac.digest(prk, b"Letterlock wrapped key" + b"\1" + b"\1", hashlib.sha512)[:32]
    # The command line of openssl has no GCM; in it the text is CTR from the block behind the tag's.
    counter = bytes(12) + (2).to_bytes(4, "big")
    p = subprocess.run(["openssl", "enc", "-aes-256-ctr", "-d", "-K", key.hex(), "-iv", counter.hex()],
                       input=envelope[38:-16], check=True, capture_output=True)
    assert envelope[:6] == b"LLWK\1\1"
    assert p.stdout == (place / "key").read_bytes()
