"""Old mail from one version 6 key to another, by OpenPGP.js: the list by fingerprints of 32 octets, SEIPD version 2 put
back and passed as it is. What RFC 4880's keys need is in tests/script/test_replace.py."""
import pathlib
import subprocess
import sys

import harness
import pytest
from openpgp_peers import OpenPGPjs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "script"))
from test_replace import Reader, outer_of, pgp_mime  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
DORA = f"dora@{harness.DOMAIN}"

# Both fingerprints of a key (certificate, what encrypts); the clear octets of a message, and it encrypted anew.
TOOL = r"""
import { readFile, writeFile } from 'node:fs/promises';
const [module, old, fresh, message, clear, sealed] = process.argv.slice(1);
const openpgp = await import(module);
const decryptionKeys = await openpgp.readPrivateKey({ binaryKey: await readFile(old) });
const encryptionKeys = await openpgp.readKey({ binaryKey: await readFile(fresh) });
const { data } = await openpgp.decrypt({
  message: await openpgp.readMessage({ armoredMessage: await readFile(message, 'utf8') }), decryptionKeys, format: 'binary' });
await writeFile(clear, data);
await writeFile(sealed, await openpgp.encrypt({ message: await openpgp.createMessage({ binary: data }), encryptionKeys }));
const fprs = async k => `${k.getFingerprint()} ${(await k.getEncryptionKey()).getFingerprint()}\n`;
process.stdout.write(await fprs(decryptionKeys) + await fprs(encryptionKeys));
"""


def again(place, old, fresh, rendered):
    """(clear, armoured under the new key, [certificate, encryption key] of both)"""
    module = subprocess.run([HERE / "fetch_openpgpjs"], capture_output=True, check=True, text=True).stdout.strip()
    (place / "message").write_bytes(harness.armor_of(rendered))
    p = subprocess.run(["node", "--input-type=module", "-e", TOOL, module, old.secret, fresh.public, place / "message", place / "clear", place / "sealed"],
                       capture_output=True, timeout=120)
    assert p.returncode == 0, p.stderr.decode()
    return (place / "clear").read_bytes(), (place / "sealed").read_bytes(), [x.split() for x in p.stdout.decode().splitlines()]


@pytest.fixture
def keys(tmp_path):
    js = OpenPGPjs()
    yield [js.generate(tmp_path, n, {"userIDs": [{"name": "Dora", "email": DORA}]}, v6=True) for n in ("old", "new")]
    js.close()


def test_from_one_version_6_key_to_another(instance, keys, tmp_path):
    old, new = keys
    i = instance.init()
    i.run("account", "add", DORA, "--key", old.public)
    i.passwords[DORA] = i.run("app-password", "add", DORA, "--label", "t").stdout.decode().strip()
    i.serve()
    original = harness.mail("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "body\n")
    i.send(DORA, original)
    r = Reader(i, DORA)
    flags, date, message = r.fetch(1)
    clear, sealed, ((old_cert, old_enc), (new_cert, new_enc)) = again(tmp_path, old, new, message)
    assert len(old_cert) == 64 and old_enc == old.fingerprint
    for key in (old_cert, old_enc, old_cert.upper(), old_cert[:16], old_enc[:16]):  # RFC 9580 section 5.5.4.3: its first octets
        assert r.under(key) == [1], key
    for key in (new_cert, old_cert[:40], old_enc[-16:], old_cert[:63] + "01"[old_cert[63] == "0"]):
        assert r.under(key) == [], key
    i.run("key", "add", DORA, new.public)
    i.run("key", "retire", DORA, old_cert)
    lines = r.replace(1, pgp_mime(outer_of(message), sealed), flags, date)
    assert lines[-1].startswith(b"t OK"), lines
    assert r.under(old_cert) == [] and r.under(new_cert) == r.under(new_enc[:16]) == [2]
    message = r.fetch(2)[2]
    assert b"Sealed-By" not in outer_of(message)  # as the client made it
    assert again(tmp_path, new, new, message)[0] == clear
    assert i.run("unseal", data=clear).stdout == original
    assert i.run("audit").returncode == 0
    r.close()
