"""Old mail from one version 6 key to another, by OpenPGP.js: the list by fingerprints of 32 octets, SEIPD version 2 put
back and passed as it is. What RFC 4880's keys need is in tests/script/test_replace.py."""
import pathlib
import sys

import harness
import pytest
from openpgp_peers import OpenPGPjs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "script"))
from test_replace import Reader, outer_of, pgp_mime  # noqa: E402

pytestmark = pytest.mark.needs("OpenPGP.js (npm)")
DORA = f"dora@{harness.DOMAIN}"


def again(js, place, old, fresh, rendered):
    """(clear, armoured under the new key, [certificate, encryption key] of both)"""
    message, clear = place / "message", place / "clear"
    message.write_bytes(harness.armor_of(rendered))
    got = js.open(message, old, clear)
    assert got.ok, got.said
    sealed = js.ask(op="encrypt", keys=[str(fresh.public)], path=str(clear), armored=True)["message"].encode()
    facts = [js.ask(op="read", path=str(key.secret)) for key in (old, fresh)]
    return clear.read_bytes(), sealed, [(f["certificate"], f["fingerprint"]) for f in facts]


@pytest.fixture
def js():
    made = OpenPGPjs()
    yield made
    made.close()


@pytest.fixture
def keys(js, tmp_path):
    return [js.generate(tmp_path, n, {"userIDs": [{"name": "Dora", "email": DORA}]}, v6=True) for n in ("old", "new")]


def test_from_one_version_6_key_to_another(instance, js, keys, tmp_path):
    old, new = keys
    i = instance.init()
    i.run("account", "add", DORA, "--key", old.public)
    i.app_password(DORA)
    i.serve()
    original = harness.mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "body\n")
    i.send(DORA, original)
    r = Reader(i, DORA)
    flags, date, message = r.fetch(1)
    clear, sealed, ((old_cert, old_enc), (new_cert, new_enc)) = again(js, tmp_path, old, new, message)
    assert len(old_cert) == 64 and old_enc == old.fingerprint
    # RFC 9580 section 5.5.4.3: a key id is the first octets
    for key in (old_cert, old_enc, old_cert.upper(), old_cert[:16], old_enc[:16]):
        assert r.under(key) == [1], key
    for key in (new_cert, old_cert[:40], old_enc[-16:], old_cert[:63] + "01"[old_cert[63] == "0"]):
        assert r.under(key) == [], key
    i.run("key", "add", DORA, new.public)
    i.run("key", "retire", DORA, old_cert)
    r.say("NOOP")
    assert r.under(old_cert) == [1, 2]  # the second tells of the new key
    assert r.say("UID STORE 2 +FLAGS (\\Deleted)")[-1].startswith(b"t OK")
    assert r.say("EXPUNGE")[0].endswith(b" EXPUNGE\r\n")
    lines = r.replace(1, pgp_mime(outer_of(message), sealed), flags, date)
    assert lines[-1].startswith(b"t OK"), lines
    assert r.under(old_cert) == [] and r.under(new_cert) == r.under(new_enc[:16]) == [3]
    message = r.fetch(3)[2]
    assert b"Sealed-By" not in outer_of(message)  # as the client made it
    assert again(js, tmp_path, new, new, message)[0] == clear
    assert i.run("unseal", data=clear).stdout == original
    assert i.run("audit").returncode == 0
    r.close()
