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


def store_key(instance, name="store.key"):
    """From store.key, or queue.key, and its key file."""
    data = (instance.dir / name).read_bytes()
    assert data[:6] == {"store.key": b"LLSK", "queue.key": b"LLQK"}[name] + b"\x01\x01" and len(data) == 6 + 117
    slot = data[6:]
    head, nonce, wrapped = slot[:45], slot[45:69], slot[69:]
    assert (u(slot[0:4]), slot[4], u(slot[13:21]), u(slot[21:29])) == (1, 2, 0, 0)
    secret = (instance.place / "storekey").read_bytes()
    purpose = b"letterlock store key slot\0" + bytes([2])
    own = hashlib.blake2b(purpose + secret, key=slot[29:45], digest_size=32).digest()
    return aead_open(own, nonce, wrapped, head)


def derived(key, use):
    return hashlib.blake2b(key=key, digest_size=32, salt=bytes([use]) + bytes(15), person=b"letterlock-rec2\0").digest()


def keyed_hash(octets, key, use, account, *parts):
    h = hashlib.blake2b(key=derived(key, use), digest_size=octets)
    h.update(account.to_bytes(8, "big") + len(parts).to_bytes(8, "big"))
    for p in parts:
        h.update(len(p).to_bytes(8, "big") + p)
    return h.digest()


def hash16(key, use, account, *parts):
    return keyed_hash(16, key, use, account, *parts)


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
    home = {0: "instance", 1: "queue", 2: "keyserver"}.get(u(place[:8]), "account")
    form, use, step, _ = KINDS[chr(place[8]), home]
    if form == "sealed":
        return unpadded(open_record(key, USE[use], place, kv[place]), step)
    assert form == "tagged" and tag_of(key, place, kv[place][:-8]) == kv[place][-8:], "another tag"
    return kv[place][:-8]


SIZES = [268, 430, 590, 720, 900, 1220, 1877, *(4096 * n - 16 for n in range(1, 5))]


def fit(length):
    return next(n for n in SIZES if n >= length)


def sealed_blob_sizes(length):
    """What the chunks of a sealed blob take."""
    return [fit(min(length - at, 16327) + 41) for at in range(0, length, 16327)]


def body_sizes(length):
    """What the chunks of a body take, its padding included."""
    full, rest = divmod(length, 16352)
    run = 0
    while rest > run and rest - run > 2408:
        run = 4096 - 32 if not run else run + 4096
    left = max(rest - run, 0)
    n = (left > 0) + (left + 16 > 1877)
    return [16368] * full + [run + 16] * (run > 0) + ([fit(-(-left // n) + 16)] * n if n else [])


def gcm_open(key, nonce, data, ad):
    """None: it does not open."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    assert sodium.sodium_init() >= 0 and sodium.crypto_aead_aes256gcm_is_available()
    out = ctypes.create_string_buffer(len(data))
    n = ctypes.c_ulonglong()
    err = sodium.crypto_aead_aes256gcm_decrypt(out, ctypes.byref(n), None, data, ctypes.c_ulonglong(len(data)), ad,
                                               ctypes.c_ulonglong(len(ad)), nonce, key)
    return None if err else out.raw[:n.value]


def facts_of(key, account, mailbox, uid, block):
    """How large an entry's message is as it is served, and its internal date."""
    ssl = ctypes.CDLL(ctypes.util.find_library("crypto"))
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_xts"):
        getattr(ssl, name).restype = ctypes.c_void_p
    context = ctypes.c_void_p(ssl.EVP_CIPHER_CTX_new())
    keys = b"".join(keyed_hash(32, key, USE["ENTRY"], 0, half) for half in (b"data", b"tweak"))
    unit, at = divmod(u(uid), 64)
    data = bytes(16 * at) + block  # of a unit that ends there
    plain, n = ctypes.create_string_buffer(len(data)), ctypes.c_int(0)
    tweak = account + mailbox + unit.to_bytes(4, "big")
    assert ssl.EVP_DecryptInit_ex(context, ctypes.c_void_p(ssl.EVP_aes_256_xts()), None, keys, tweak)
    assert ssl.EVP_DecryptUpdate(context, plain, ctypes.byref(n), data, len(data)) and n.value == len(data)
    ssl.EVP_CIPHER_CTX_free(context)
    return u(plain.raw[-16:-8]), int.from_bytes(plain.raw[-8:], "big", signed=True)


def message(key, kv, account, number):
    """A message's record, as a dictionary."""
    m = value_at(key, kv, account + b"m" + number)
    names = "fields id references kind render packets head capsule outer date received thread own scheme hour used n"
    widths = [1, 8, 4, 1, 1, 8, 4, 4, 4, 8, 8, 16, 16, 1, 4, 4, 1]
    ends = [sum(widths[:i + 1]) for i in range(len(widths))]
    r = {name: m[end - width:end] for name, width, end in zip(names.split(), widths, ends)}
    r = {name: v if name in ("thread", "own") else u(v) for name, v in r.items()}
    rest = m[ends[-1] + 20 * r["n"]:]
    hashes, end = 21 + 8 * rest[20], 21 + 8 * 16
    r |= {"salt": rest[:16], "padding": u(rest[16:20]), "header": rest[end + 4:],
          "features": [rest[n:n + 8] for n in range(21, hashes, 8)]}
    assert u(rest[end:end + 4]) == len(r["header"]) == r["outer"] and hashes <= end and not any(rest[hashes:end])
    return r


def head_of(key, blobs, account, m):
    """Capsule, and the packets' head."""
    blob, length = bytes([0x80]) + account[1:] + m["id"].to_bytes(8, "big"), m["capsule"] + m["head"]
    out = b""
    for n, size in enumerate(sealed_blob_sizes(length)):
        assert blobs[blob + (2 * n).to_bytes(4, "big")] == b"" or size > 1877
        stored = blobs[blob + (2 * n + 1).to_bytes(4, "big")]
        place = b"".join([account, b"\1", m["id"].to_bytes(8, "big"), n.to_bytes(4, "big"), length.to_bytes(8, "big"),
                          m["salt"]])
        assert len(stored) == size
        out += open_record(key, USE["MESSAGE"], place, stored)
    assert out[length:].strip(b"\0") == b""
    return out[:m["capsule"]], out[m["capsule"]:length]


def body_of(key, blobs, account, m):
    """The packets without their head; each tag is checked."""
    length = m["packets"] - m["head"]
    sizes = body_sizes(length + m["padding"])
    secret = keyed_hash(32, key, USE["CONTENT"], u(account), m["id"].to_bytes(8, "big"), m["salt"])
    out = b""
    for n, size in enumerate(sizes):
        blob = account + m["id"].to_bytes(8, "big")
        stored = blobs[blob + (2 * n + 1).to_bytes(4, "big")]
        assert blobs.get(blob + (2 * n).to_bytes(4, "big")) == (b"" if n and max(sizes[n - 1:n + 1]) <= 1877 else None)
        nonce = n.to_bytes(4, "big") + bytes([n + 1 == len(sizes)]) + bytes(7)
        assert len(stored) == size
        if m["kind"] == 1:
            assert gcm_open(secret, nonce, stored[-16:], stored[:-16]) == b""
            out += stored[:-16]
        else:
            out += gcm_open(secret, nonce, stored, b"")
    assert m["kind"] == 1 or out[length:].strip(b"\0") == b""
    return out[:length]
