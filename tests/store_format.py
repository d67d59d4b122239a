"""Reads a store's file with its key, by what docs/store-format.md says and nothing else."""
import ctypes
import ctypes.util
import hashlib
import pathlib
import re
import subprocess

import harness

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = (ROOT / "crypto" / "record.h").read_text()
USES = re.findall(r"^    RECORD_(\w+),", HEADER.split("enum record_use {")[1].split("RECORD_USES")[0], re.M)
USE = {name: number for number, name in enumerate(USES)}


def dump(file, database, tmp_path):
    """An LMDB database as a dictionary, from a copy of the data file."""
    harness.need("mdb_dump")
    env = tmp_path / f"env-{database}"
    env.mkdir()
    (env / "data.mdb").write_bytes(pathlib.Path(file).read_bytes())
    out = subprocess.run(["mdb_dump", "-s", database, env], capture_output=True, check=True, text=True).stdout
    lines = [bytes.fromhex(x[1:]) for x in out.split("HEADER=END\n")[1].splitlines() if x.startswith(" ")]
    return dict(zip(lines[::2], lines[1::2]))


def aead_open(key, nonce, data, ad):
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    out = ctypes.create_string_buffer(len(data))
    n = ctypes.c_ulonglong()
    decrypt = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt
    assert decrypt(out, ctypes.byref(n), None, data, ctypes.c_ulonglong(len(data)), ad, ctypes.c_ulonglong(len(ad)),
                   nonce, key) == 0, "does not open"
    return out.raw[:n.value]


def u(data):
    return int.from_bytes(data, "big")


def store_key(instance):
    """From store.key and its key file."""
    data = (instance.dir / "store.key").read_bytes()
    assert data[:6] == b"LLSK\x01\x01" and len(data) == 6 + 117
    slot = data[6:]
    head, nonce, wrapped = slot[:45], slot[45:69], slot[69:]
    assert (u(slot[0:4]), slot[4], u(slot[13:21]), u(slot[21:29])) == (1, 2, 0, 0)
    secret = (instance.place / "storekey").read_bytes()
    purpose = b"letterlock store key slot\0" + bytes([2])
    own = hashlib.blake2b(purpose + secret, key=slot[29:45], digest_size=32).digest()
    return aead_open(own, nonce, wrapped, head)


def derived(key, use):
    return hashlib.blake2b(key=key, digest_size=32, salt=bytes([use]) + bytes(15), person=b"letterlock-rec2\0").digest()


def hash16(key, use, account, *parts):
    h = hashlib.blake2b(key=derived(key, use), digest_size=16)
    h.update(account.to_bytes(8, "big") + len(parts).to_bytes(8, "big"))
    for p in parts:
        h.update(len(p).to_bytes(8, "big") + p)
    return h.digest()


def approved(root, text, approval):
    """By the key that is made of the root."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    seed = hashlib.blake2b(key=root, digest_size=32, person=b"letterlock-appr\0").digest()
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    assert sodium.crypto_sign_ed25519_seed_keypair(public, secret, seed) == 0
    length = ctypes.c_ulonglong(len(text))
    return sodium.crypto_sign_ed25519_verify_detached(approval, text, length, public) == 0


def poly1305(key, data):
    out = ctypes.create_string_buffer(16)
    ctypes.CDLL(ctypes.util.find_library("sodium")).crypto_onetimeauth_poly1305(
        out, data, ctypes.c_ulonglong(len(data)), key
    )
    return out.raw


def open_record(key, use, place, sealed):
    assert sealed[0] == 2
    return aead_open(derived(key, use), sealed[1:25], sealed[25:], place)


def unpadded(plain, step):
    """ISO/IEC 7816-4."""
    text = plain.rstrip(b"\0")
    assert len(plain) % step == 0 and text[-1] == 0x80 and len(plain) - len(text) < step
    return text[:-1]


def tag_of(key, place, value):
    text = bytes([len(place)]) + place + value
    out = ctypes.create_string_buffer(8)
    ctypes.CDLL(ctypes.util.find_library("sodium")).crypto_shorthash(
        out, text, ctypes.c_ulonglong(len(text)), derived(key, USE["TAG"])
    )
    return out.raw


PAGE = (ROOT / "docs" / "store-format.md").read_text()
KINDS = {(letter, home): (form, use, int(step or 0), what) for letter, home, form, use, step, what in re.findall(
    r"^\| (\w) \| (\w+) \| ([\w']+) \|(?: (\w+))? \|(?: (\d+))? \| (.+) \|$", PAGE, re.M)}


def value_at(key, kv, place):
    """A record's value as the table of kinds says: opened, or its tag checked."""
    form, use, step, _ = KINDS[chr(place[8]), "instance" if u(place[:8]) == 0 else "account"]
    if form == "sealed":
        return unpadded(open_record(key, USE[use], place, kv[place]), step)
    assert form == "tagged" and tag_of(key, place, kv[place][:-8]) == kv[place][-8:], "another tag"
    return kv[place][:-8]
