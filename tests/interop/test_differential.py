"""What we seal is opened by the other implementations: every algorithm, size and container, by each of gpg, sq, rnp and
OpenPGP.js that knows it. Those that do not know it are tried as well and must say so, so that the table of who reads
what cannot shrink unseen."""
import collections
import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import tempfile

import harness
import pytest
from openpgp_peers import Gpg, Key, OpenPGPjs, Rnp, Sq, program, seal

pytestmark = pytest.mark.needs("sq", "rnp", "OpenPGP.js (npm)")
FULL = bool(os.environ.get("LETTERLOCK_FULL"))
KB, MB = 1024, 1024 * 1024
SHORT = [(256, 0), (128, 8193), (256, MB)]
# The container's first packet has a head of 8 octets up to 8,377 octets of text, then of 9, then of 12: chunks of SEIPD
# v2 end there.
CHUNKS = [n * 64 * KB - head + more for n in (1, 2) for head in (0, 12) for more in (-1, 0, 1)]
SIZES = [0, 1, 8191, 8192, 8193, 64 * KB, MB, 30 * MB]
# OpenPGP.js takes 15 to 40 seconds for 30 MB of OCB: with AES-128 it does so for this kind only.
LARGE_OCB_128 = "x25519-v6"

# made(peers, place, name): by whom. family: what of it is new to whom, in REFUSED below.
Kind = collections.namedtuple("Kind", "name made family")


def by_gpg(primary, subkey):
    return lambda peers, place, name: stored(place, name, *peers["gpg"].generate(name, primary, subkey))


def by_sq(suite):
    return lambda peers, place, name: peers["OpenPGP.js"].adopt(place, name, peers["sq"].generate(suite))


def by_rnp(answers):
    return lambda peers, place, name: stored(place, name,
                                             *peers["gpg"].adopt(name, peers["rnp"].generate(name, answers)))


def by_js(options, v6=False):
    return lambda peers, place, name: peers["OpenPGP.js"].generate(place, name, options, v6)


def ecc(curve):
    return {"type": "ecc", "curve": curve}


def stored(place, name, secret, public, fingerprint):
    key = Key(place / f"{name}.secret", place / f"{name}.public", fingerprint)
    key.secret.write_bytes(secret)
    key.public.write_bytes(public)
    return key


KINDS = [
    Kind("rsa2048", by_gpg("rsa2048", "rsa2048"), "old"),
    Kind("rsa3072", by_sq("rsa3k"), "old"),
    Kind("rsa4096", by_gpg("ed25519", "rsa4096"), "old"),
    Kind("rsa2050-js", by_js({"type": "rsa", "rsaBits": 2050}), "old"),
    Kind("rsa2048-rnp", by_rnp(b"1\n2048\n"), "old"),
    Kind("cv25519", by_gpg("ed25519", "cv25519"), "old"),
    Kind("cv25519-sq", by_sq("cv25519"), "old"),
    Kind("cv25519-rnp", by_rnp(b"22\n"), "old"),
    Kind("cv25519-js", by_js(ecc("curve25519Legacy")), "old"),
    Kind("p256", by_gpg("ed25519", "nistp256"), "old"),
    Kind("p256-js", by_js(ecc("nistP256")), "old"),
    Kind("p384", by_gpg("nistp384", "nistp384"), "old"),
    Kind("p384-rnp", by_rnp(b"19\n2\n"), "old"),
    Kind("p521", by_gpg("ed25519", "nistp521"), "old"),
    Kind("bp256", by_gpg("ed25519", "brainpoolP256r1"), "brainpool"),
    Kind("bp384", by_gpg("ed25519", "brainpoolP384r1"), "brainpool"),
    Kind("bp512", by_gpg("ed25519", "brainpoolP512r1"), "brainpool"),
    Kind("bp256-rnp", by_rnp(b"19\n4\n"), "brainpool ECDSA"),
    Kind("x25519", by_js({"type": "curve25519"}), "x"),
    Kind("x448", by_js({"type": "curve448"}), "x"),
    Kind("x25519-v6", by_js({"type": "curve25519"}, v6=True), "v6"),
    Kind("x448-v6", by_js({"type": "curve448"}, v6=True), "v6"),
    Kind("p256-v6", by_js(ecc("nistP256"), v6=True), "v6"),
    Kind("p521-v6", by_js(ecc("nistP521"), v6=True), "v6"),
    Kind("rsa-v6", by_js({"type": "rsa", "rsaBits": 2048}, v6=True), "v6"),
]
BY_NAME = {k.name: k for k in KINDS}

# Who cannot, and what it says then. A peer that learns something makes this fail: take the line out.
REFUSED = {
    ("gpg", "x"): "public key decryption failed: Invalid public key algorithm",
    ("gpg", "v6"): r"packet\(5\) with unknown version 6",
    ("gpg", "SEIPD v2"): r"packet\(1\) with unknown version 6",
    ("sq", "brainpool"): "No key to decrypt message",
    ("sq", "brainpool ECDSA"): "Unsupported primary key|No key to decrypt message",
    ("sq", "x"): "Unsupported Cert: Unsupported primary key",
    ("sq", "v6"): "Unsupported Cert: Unsupported primary key",
    ("sq", "SEIPD v2"): "Invalid OpenPGP message: SEIP packet .* not expected",
    ("rnp", "x"): "unknown key algorithm: 2[78]",
    ("rnp", "v6"): "wrong key packet version",
    ("rnp", "SEIPD v2"): "unknown mdc ver: 2",
    # Signatures over brainpool curves need a module that it does not bring.
    ("OpenPGP.js", "brainpool ECDSA"): "eckey-utils",
}


def refusal(peer, family, seipd):
    """A pattern of what the peer says, or None if it must open it."""
    reasons = [REFUSED.get((peer, family)), REFUSED.get((peer, "SEIPD v2")) if seipd == 2 else None]
    return "|".join(filter(None, reasons)) or None


@pytest.fixture(scope="module")
def place():
    path = pathlib.Path(tempfile.mkdtemp(prefix="letterlock-peers-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def peers(place):
    all_of_them = {p.name: p for p in [Gpg(place), Sq(place), Rnp(place), OpenPGPjs()]}
    yield all_of_them
    for p in all_of_them.values():
        p.close()


@pytest.fixture(scope="module")
def keys(peers, place):
    made = {}
    for kind in KINDS:
        made[kind.name] = kind.made(peers, place, kind.name)
        for p in peers.values():
            p.hold(made[kind.name])
    return made


@pytest.fixture(scope="module")
def texts(place):
    """Of each size a file and its hash, made once."""
    made = {}

    def text(size):
        if size not in made:
            data = hashlib.shake_256(b"%d" % size).digest(size)
            path = place / f"text-{size}"
            path.write_bytes(data)
            made[size] = path, hashlib.sha256(data).hexdigest()
        return made[size]

    return text


def check(peer, kind, key, sealed, seipd, size, digest):
    """A fault in words, or None."""
    got = peer.open(sealed, key)
    what = f"{peer.name}, {kind.name}, SEIPD v{seipd}, {size} octets"
    why_not = refusal(peer.name, kind.family, seipd)
    if why_not is None:
        return None if got.ok and got.sha256 == digest and got.length == size else f"{what}: does not open: {got.said}"
    if got.ok:
        return f"{what}: opens, though it is listed as unable"
    return None if re.search(why_not, got.said) else f"{what}: refuses, but says: {got.said}"


def check_all(peers, kind, key, texts, place, cases):
    faults = []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for seipd, aes, size in cases:
            path, digest = texts(size)
            sealed = place / f"sealed-{kind.name}"
            seal(path, sealed, [key], seipd, aes)
            # Who cannot open it says so of the smallest as well as of the largest.
            able = [p for p in peers.values() if size <= MB or refusal(p.name, kind.family, seipd) is None]
            faults += filter(None, pool.map(lambda p: check(p, kind, key, sealed, seipd, size, digest), able))
            sealed.unlink()
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_implementation_opens_it(peers, keys, texts, place, name):
    cases = [(aes, size) for aes in (128, 256) for size in SIZES] if FULL else SHORT
    cases = [(seipd, aes, size) for aes, size in cases for seipd in (1, 2)
             if (seipd, aes, size) != (2, 128, 30 * MB) or name == LARGE_OCB_128]
    check_all(peers, BY_NAME[name], keys[name], texts, place, cases)


@pytest.mark.parametrize("name", ["cv25519", "x25519-v6"])
def test_boundaries(peers, keys, texts, place, name):
    """Ends of chunks of SEIPD v2, of our own stages of 16 KB under v1, and where a packet's length takes one octet
    more."""
    chunks = CHUNKS if FULL else CHUNKS[3:6]
    cases = [(2, 256, size) for size in chunks] + [(1, 128, size) for size in (16 * KB - 26, 16 * KB - 48)]
    cases += [(seipd, 256, size) for seipd in (1, 2) for size in (185, 186, 8377, 8378)]
    check_all(peers, BY_NAME[name], keys[name], texts, place, cases)


def test_what_the_native_judge_chooses(peers, keys, texts, place):
    """Key, container and cipher by its verdict on the certificate; version 6 asks for SEIPD v2, the others' makers for
    v1."""
    path, digest = texts(8193)
    faults = []
    for kind in KINDS:
        sealed = place / "sealed-judged"
        seal(path, sealed, [keys[kind.name]], 0, 0)
        head = sealed.read_bytes()[:4]
        seipd = 2 if head[2 if head[1] < 192 else 3] == 6 else 1  # RFC 9580 section 4.2.1: octets of the length
        assert seipd == (2 if kind.family == "v6" else 1), kind.name
        faults += filter(None, [check(p, kind, keys[kind.name], sealed, seipd, 8193, digest) for p in peers.values()])
    assert not faults, "\n".join(faults)


MIXES = {
    "old": ["rsa2048", "cv25519", "p384", "p521", "bp512", "cv25519-sq", "rsa2048-rnp", "p384-rnp", "rsa3072"],
    "old and new": ["x25519", "cv25519", "x448-v6", "rsa2048", "x25519-v6", "p256"],
}


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("seipd", [1, 2])
def test_each_of_several_opens_it_alone(peers, keys, texts, place, mix, seipd):
    names = MIXES[mix]
    path, digest = texts(8193)
    sealed = place / "sealed-mix"
    seal(path, sealed, [keys[n] for n in names], seipd, 256)
    faults = []
    for name in names:
        peers["gpg"].hold(keys[name], alone=True)
        for p in peers.values():
            fault = check(p, BY_NAME[name], keys[name], sealed, seipd, 8193, digest)
            # Under a mix, what cannot be read may be described in other words; that it is refused is what counts.
            if fault and not (refusal(p.name, BY_NAME[name].family, seipd) and "refuses, but" in fault):
                faults.append(fault)
    peers["gpg"].let_go()
    stranger = peers["OpenPGP.js"].open(sealed, keys["x448"])
    assert not stranger.ok
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", ["cv25519", "rsa2048", "x25519-v6"])
@pytest.mark.parametrize("seipd", [1, 2])
def test_a_flipped_bit_is_refused(peers, keys, texts, place, name, seipd):
    """The integrity protection is really there: for each part of what we sealed, nobody takes it with one bit
    changed."""
    kind, size = BY_NAME[name], 70000
    path, digest = texts(size)
    sealed, bent = place / "sealed-whole", place / "sealed-bent"
    seal(path, sealed, [keys[name]], seipd, 256)
    data = sealed.read_bytes()
    able = [p for p in peers.values() if refusal(p.name, kind.family, seipd) is None]
    assert able and all(check(p, kind, keys[name], sealed, seipd, size, digest) is None for p in able)
    start = data.index(bytes([0xd2, 0xff]))  # the container's head
    places = {"the last octet": len(data) - 1, "the end": len(data) - 17, "the middle": len(data) // 2,
              "the start of the text": start + 7 + 40,
              "the session key": start - 3, "the version": start + 6}
    for what, at in places.items():
        bent.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        for p in able:
            assert not p.open(bent, keys[name]).ok, f"{p.name} takes SEIPD v{seipd} with a bit changed in {what}"
    for what, cut in {"an octet": 1, "the tag": 16, "half": len(data) // 2}.items():
        bent.write_bytes(data[:-cut])
        for p in able:
            assert not p.open(bent, keys[name]).ok, f"{p.name} takes SEIPD v{seipd} without {what}"


def test_sq_cannot_open_brainpool_of_gpg_either(peers, keys, texts, place):
    """Its words say nothing of the curve: so this is what it says to gpg's own seal for the same key."""
    path, _ = texts(8193)
    for name in ["bp256", "bp384", "bp512"]:
        out = place / "by-gpg"
        status, data, said = program("gpg", "--homedir", peers["gpg"].homes[None].path, "--batch", "--no-tty",
                                     "--trust-model", "always",
                                     "--recipient", keys[name].fingerprint + "!", "--output", "-", "--encrypt", path)
        assert status == 0, said
        out.write_bytes(data)
        got = peers["sq"].open(out, keys[name])
        assert not got.ok and re.search(REFUSED["sq", "brainpool"], got.said)


def elgamal_key(keyring, address):
    keyring.import_file(harness.ROOT / "tests/fault/elgamal.key")
    fingerprint = keyring.fingerprint("A test")
    keyring.gpg("--quick-add-uid", fingerprint, address)
    return fingerprint


def secp256k1_key(keyring, address, when=(), expires="0"):
    keyring.unasked(*when, "--quick-gen-key", address, "ed25519", "cert,sign", expires)
    keyring.unasked(*when, "--quick-add-key", keyring.fingerprint(address), "secp256k1", "encr", expires)
    return keyring.fingerprint(address)


def gpg_account(i, address, make):
    """An account whose key only gpg seals to; the key's secret half."""
    fingerprint = make(i.keyring, address)
    cert = i.place / "odd.asc"
    cert.write_bytes(i.keyring.export(fingerprint))
    i.run("account", "add", address, "--key", cert)
    assert b"sealed by gpg" in i.run("key", "list", address).stdout
    i.app_password(address)
    return i.keyring.secret(fingerprint)


@pytest.mark.parametrize("make", [elgamal_key, secp256k1_key], ids=["ElGamal", "secp256k1"])
def test_through_the_gpg_role(peers, place, make):
    """What the native engine leaves to gpg the whole server seals. sq has neither of the two."""
    with harness.Instance() as i:
        i.init(message_max="40000000")
        address = f"odd@{harness.DOMAIN}"
        secret = gpg_account(i, address, make)
        i.serve()
        key = stored(place, make.__name__, secret, b"", None)
        peers["gpg"].hold(key)
        sent = {}
        for size in [1, 8191, 8192, 8193, 64 * KB, MB] + ([30 * MB] if FULL else []):
            line = b"abcdefghijklmnopqrstuvwxyz012345678901234567890123456789abcdefghijkl\n"
            body = (line * (size // len(line) + 1))[:size - 1] + b"\n"
            sent[size] = harness.mail(f"of {size}", body.decode(), to=address)
            i.send(address, sent[size])
        received = list(i.fetch_all(address).values())
        assert len(received) == len(sent)
        for rendered, (size, message) in zip(received, sent.items()):
            sealed = place / "odd.sealed"
            sealed.write_bytes(harness.armor_of(rendered))
            first = peers["gpg"].open(sealed, key)
            assert first.ok, first.said
            for p in peers.values():
                got = p.open(sealed, key)
                if p.name == "sq":
                    assert not got.ok and re.search("No key to decrypt message|Unsupported", got.said), got
                else:
                    assert got.ok and got.sha256 == first.sha256, (p.name, got)
            assert i.unseal(rendered) == message, size


def test_keys_that_no_engine_seals_to_together(peers, place):
    """GnuPG alone seals to ElGamal, and does not know X25519 or version 6: such keys are not current together, or no
    mail could be taken. With a Curve25519 key in
    between the account comes from one to the other, and mail is taken all the time."""
    with harness.Instance() as i:
        i.init()
        address = f"odd@{harness.DOMAIN}"
        gpg_account(i, address, elgamal_key)
        elgamal = i.keyring.fingerprint("A test")
        i.serve()
        new = {v: peers["OpenPGP.js"].generate(place, f"{v}-together",
                                               {"type": "curve25519", "userIDs": [{"email": address}]}, v == "v6")
               for v in ["v4", "v6"]}
        for key in new.values():
            refused = i.run("key", "add", address, key.public, check=False)
            assert refused.returncode == 1 and b"cannot be current together with" in refused.stderr, refused
        i.send(address, harness.mail("to ElGamal alone"))
        between = i.place / "between.asc"
        between.write_bytes(i.keyring.generate(f"between@{harness.DOMAIN}"))
        i.run("key", "add", address, between)
        i.send(address, harness.mail("to ElGamal and Curve25519, by gpg"))
        i.run("key", "retire", address, elgamal)
        for key in new.values():
            i.run("key", "add", address, key.public)
        back = i.run("key", "current", address, elgamal, check=False)
        assert back.returncode == 1 and b"cannot be current together with" in back.stderr, back
        i.send(address, harness.mail("to all three, natively"))
        last = max(i.fetch_all(address).items())[1]
        sealed = place / "together.sealed"
        sealed.write_bytes(harness.armor_of(last))
        opened = [peers["OpenPGP.js"].open(sealed, key) for key in new.values()]
        assert all(o.ok for o in opened), opened
        assert b"Subject: to all three, natively" in i.unseal(last)
        assert len(i.fetch_all(address)) == 3 + 3  # each key that was added was told to the others


@pytest.mark.parametrize("newer", ["future-default", "secp256k1"])
def test_an_expired_key_that_gpg_seals_to_and_one_made_since(newer):
    """gpg is told a time at which the expired key was valid, and the other was not there yet: it takes both all the
    same."""
    with harness.Instance() as i:
        i.init()
        address = f"odd@{harness.DOMAIN}"
        gpg_account(i, address, lambda k, a: secp256k1_key(k, a, ["--faked-system-time", "20200101T000000"], "1y"))
        other = f"newer@{harness.DOMAIN}"
        cert = i.place / "newer.asc"
        cert.write_bytes(i.keyring.export(secp256k1_key(i.keyring, other)) if newer == "secp256k1"
                         else i.keyring.generate(other, newer))
        i.serve()
        i.send(address, harness.mail("to the expired key"))
        i.run("key", "add", address, cert)
        i.send(address, harness.mail("to both"))
        # Between the two may stand the notice that the key has expired.
        clear = {r: i.unseal(r) for r in i.fetch_all(address).values()}
        for subject, keys in [(b"to the expired key", 1), (b"to both", 2)]:
            r, = [r for r, text in clear.items() if b"Subject: " + subject in text]
            packets = i.keyring.gpg("--list-packets", data=harness.armor_of(r)).stdout
            assert packets.count(b":pubkey enc packet:") == keys, packets
