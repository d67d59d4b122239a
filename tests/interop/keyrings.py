"""Real keyrings, certificate by certificate, before several judges: the judge role's function, gpg, sq, and the native
judge, which in service is asked only about kinds that gpg does not know. At a time that is fixed for each keyring, so
that no answer changes when a key expires.

keyrings.tsv has every certificate on which somebody differs from us, and why. Run as a program this writes it anew, a
difference that no reason fits with "?":
  LETTERLOCK_BINARY=... /usr/bin/python3 tests/interop/keyrings.py >tests/interop/keyrings.tsv"""
import collections
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402

TABLE = pathlib.Path(__file__).with_suffix(".tsv")
FOLDER = pathlib.Path("/usr/share/keyrings")
# Name: Debian package, file, the day they are judged on: shortly after the package was made.
KEYRINGS = {
    "debian": ("debian-keyring", "debian-keyring.gpg", "2023-01-01"),
    "debian-maintainers": ("debian-keyring", "debian-maintainers.gpg", "2023-01-01"),
    "debian-nonupload": ("debian-keyring", "debian-nonupload.gpg", "2023-01-01"),
    "debian-role": ("debian-keyring", "debian-role-keys.gpg", "2023-01-01"),
    "archlinux": ("archlinux-keyring", "archlinux.gpg", "2023-12-15"),
}
PROCESSES = 2


def seconds(day):
    return int(subprocess.run(["date", "-u", "-d", day, "+%s"], capture_output=True, check=True).stdout)


def version(package):
    p = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return p.stdout if p.returncode == 0 else None


# Packets, just as far as needed


def packets(data):
    """(tag, body, whole) of each packet."""
    at = 0
    while at < len(data):
        start, head = at, data[at]
        assert head & 0x80, f"no packet at {at}"
        if head & 0x40:
            tag, n, at = head & 63, data[at + 1], at + 2
            if 192 <= n < 224:
                n, at = ((n - 192) << 8) + data[at] + 192, at + 1
            elif n == 255:
                n, at = int.from_bytes(data[at:at + 4], "big"), at + 4
            else:
                assert n < 192, "partial length"
        else:
            tag, size = head >> 2 & 15, 1 << (head & 3)
            assert size < 8, "indeterminate length"
            n, at = int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size
        yield tag, data[at:at + n], data[start:at + n]
        at += n


def recipients(message):
    """Key ids of the session-key packets at the front."""
    ids = []
    for _ in range(64):
        # Only these are cut out: what follows may have partial lengths.
        if not message or not (message[0] & 0x40 and message[0] & 63 == 1 or not message[0] & 0x40
                               and message[0] >> 2 & 15 == 1):
            break
        tag, body, whole = next(packets(message))
        assert body[0] == 3
        ids.append(body[1:9].hex().upper())
        message = message[len(whole):]
    return ids


class Certificate:
    def __init__(self, data):
        self.data = data
        self.digest = hashlib.sha256(data).hexdigest()[:16]
        bodies = [body for tag, body, _ in packets(data) if tag in (6, 14)]
        fprs = [hashlib.sha1(b"\x99" + len(b).to_bytes(2, "big") + b).hexdigest().upper() for b in bodies]
        self.fpr = fprs[0]
        self.algorithms = {fpr[-16:]: body[5] for fpr, body in zip(fprs, bodies)}

    def signed_with_old_hash(self):
        """Whether some self-signature, binding or back-signature is over SHA-1 or RIPEMD-160."""
        own = bytes.fromhex(self.fpr[-16:])
        for tag, body, _ in packets(self.data):
            if tag == 2 and body[0] == 4 and body[1] in (0x10, 0x11, 0x12, 0x13, 0x18, 0x1f) and own in body:
                # A back-signature inside begins: version 4, type 0x19, algorithm, hash.
                if body[3] in (2, 3) or any(body[at + 3] in (2, 3) for at in range(4, len(body) - 4)
                                            if body[at:at + 2] == b"\x04\x19"):
                    return True
        return False


def certificates(path):
    """In a keyring's order, each fingerprint once."""
    data = path.read_bytes()
    if not data[0] & 0x80:
        data = subprocess.run(["gpg", "--dearmor"], input=data, capture_output=True, check=True).stdout
    cut, found = [], {}
    for tag, _, whole in packets(data):
        if tag == 6:
            cut.append([])
        cut[-1].append(whole)
    for parts in cut:
        c = Certificate(b"".join(parts))
        found.setdefault(c.fpr, c)
    return list(found.values())


# Voices: each gives {fpr: key id, ids, or "-" for refused}


def spread(what, fn, items):
    """fn over items in PROCESSES threads (each waits for a process of its own), with progress."""
    began, done, results = time.monotonic(), 0, {}
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        for key, value in pool.map(fn, items):
            results[key], done = value, done + 1
            if done % 100 == 0 or done == len(items):
                print(f"  {what}: {done} of {len(items)}, {time.monotonic() - began:.0f} s", flush=True)
    return results


def tool():
    return pathlib.Path(os.environ.get("LETTERLOCK_KEYRING_JUDGE",
                                       pathlib.Path(harness.BINARY).parent / "tests/unit/keyring_judge"))


Judged = collections.namedtuple("Judged", "key expired why native")


def ours(certs, now, place):
    ring = place / "ours.gpg"
    ring.write_bytes(b"".join(c.data for c in certs))
    began, found = time.monotonic(), {}
    parts = [subprocess.Popen([tool(), ring, str(now), str(n), str(PROCESSES)], stdout=subprocess.PIPE, text=True,
                              errors="replace")
             for n in range(PROCESSES)]
    for p in parts:
        for line in p.communicate()[0].splitlines():
            fpr, status, key, expired, size, fault, native, why = line.split("\t")
            assert (status == "0") == (key != "-") and status != "14" and int(size) <= 65536, line
            found[fpr] = Judged(key[-16:], expired == "1", why, native[-16:])
        assert p.returncode == 0
    print(f"  ours: {len(found)}, {time.monotonic() - began:.0f} s", flush=True)
    return found


def gpg(certs, now, place):
    home = place / "home"
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty", "--no-autostart", "--trust-model", "always",
            "--no-auto-check-trustdb", "--faked-system-time", f"{now}!"]
    (home / "all").write_bytes(b"".join(c.data for c in certs))
    subprocess.run([*base, "--import-options", "self-sigs-only", "--import", home / "all"], capture_output=True)

    def one(c):
        p = subprocess.run([*base, "--no-armor", "-r", c.fpr, "--encrypt"], input=b"x", capture_output=True)
        return c.fpr, (recipients(p.stdout)[0] if p.returncode == 0 else "-")
    return spread("gpg", one, certs)


def sq(certs, day, place, *options):
    def one(c):
        path = place / f"{c.fpr}.pgp"
        path.write_bytes(c.data)
        # Its own --time does not reach recipients' expiry.
        p = subprocess.run(["faketime", f"{day} 00:00:00", "sq", "encrypt", "--binary", "--compression", "none",
                            *options, "--recipient-cert", path],
                           input=b"x", capture_output=True, env=dict(os.environ, TZ="UTC"))
        path.unlink()
        return c.fpr, ",".join(sorted(set(recipients(p.stdout)))) if p.returncode == 0 else "-"
    return spread("sq", one, certs)


Opinions = collections.namedtuple("Opinions", "ours gpg sq native expired why")


def compare(name, wanted=None):
    """fpr: (Certificate, Opinions), of all or of those wanted."""
    package, file, day = KEYRINGS[name]
    certs = [c for c in certificates(FOLDER / file) if wanted is None or c.fpr in wanted]
    print(f"{name}: {len(certs)} certificates on {day}", flush=True)
    with tempfile.TemporaryDirectory(prefix="letterlock-keyrings-", dir="/dev/shm") as d:
        a, b, c = (
            ours(certs, seconds(day), pathlib.Path(d)),
            gpg(certs, seconds(day), pathlib.Path(d)),
            sq(certs, day, pathlib.Path(d)),
        )
    return {x.fpr: (x, Opinions(a[x.fpr].key, b[x.fpr], c[x.fpr], a[x.fpr].native, a[x.fpr].expired, a[x.fpr].why))
            for x in certs}


def differs(o):
    """The voices that do not say what we say. sq encrypts to all of a certificate's encryption keys: ours is to be
    among them."""
    return [voice for voice, same in (("gpg", o.gpg == o.ours), ("sq", o.ours in o.sq.split(",")),
                                      ("native", o.native == o.ours)) if not same]


def sq_says(c, day):
    """What "sq inspect" says of the primary key."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(c.data)
        f.flush()
        text = subprocess.run(["faketime", f"{day} 00:00:00", "sq", "inspect", f.name], capture_output=True, text=True,
                              env=dict(os.environ, TZ="UTC")).stdout
    return text.split("Public-key algo:")[0]


# Why a voice may differ, and what must then be true of the certificate and of what is said. day: the keyring's.
REASONS = {
    # Losing mail helps nobody: a key of one's own goes on sealing when it has expired, with a warning.
    "gpg:expired": lambda c, o, day: o.expired and o.gpg == "-",
    "sq:expired": lambda c, o, day: o.expired and o.sq == "-",
    # 1,024 bits of DSA sign what says which key encrypts.
    "gpg:weak": lambda c, o, day: o.ours == "-" and "bits of" in o.why and o.gpg != "-",
    "sq:weak": lambda c, o, day: o.ours == "-" and "bits of" in o.why and o.sq != "-",
    # Self-signatures over SHA-1 or RIPEMD-160: gpg takes them, and we follow it where it judges; sq does not from that
    # day on; the native judge never does.
    "sq:hash": lambda c, o, day: day >= "2023-02-01" and o.ours != "-" and o.sq == "-" and c.signed_with_old_hash(),
    "native:hash": lambda c, o, day: o.ours != "-" and c.signed_with_old_hash(),
    # sq's library has no ElGamal: it takes an older key, or none.
    "sq:elgamal": lambda c, o, day: c.algorithms.get(o.ours) == 16,
    # "sq encrypt" looks for revocations of subkeys alone; "sq inspect" says that the certificate is revoked.
    "sq:revoked": lambda c, o, day: o.ours == "-" and "revoked" in o.why and o.sq != "-"
    and "Revoked:" in sq_says(c, day),
    # User ids disagree on when the primary key expires: sq goes by the primary user id, gpg and the native judge by the
    # newest self-signature.
    "sq:primary": lambda c, o, day: o.ours != "-" and not o.expired and o.sq == "-"
    and "The primary key is not live" in sq_says(c, day),
}


def explain(c, o, day):
    """A reason for each voice that differs; "?" where none holds."""
    return [next((r for r, holds in REASONS.items() if r.startswith(v + ":") and holds(c, o, day)), f"{v}:?")
            for v in differs(o)]


def table():
    """{package: version}, {keyring: {fpr: (digest, (ours, gpg, sq, native), reasons)}}"""
    versions, rows = {}, collections.defaultdict(dict)
    for line in TABLE.read_text().splitlines():
        if line.startswith("# package "):
            package, versions_of = line.split()[2:]
            versions[package] = versions_of
        elif line and not line.startswith("#"):
            keyring, fpr, digest, *said, reasons = line.split("\t")
            rows[keyring][fpr] = (digest, tuple(said), reasons.split(","))
    return versions, rows


def write_table(names):
    print(
        "# Certificates of real keyrings on which gpg, sq or the native judge differs from us: keyrings.py has the"
        " reasons."
    )
    for package in dict.fromkeys(KEYRINGS[n][0] for n in names):
        print(f"# package {package} {version(package)}")
    print("# keyring\tfingerprint\tdigest\tours\tgpg\tsq\tnative\treasons")
    for name in names:
        with contextlib.redirect_stdout(sys.stderr):
            found = compare(name)
        for fpr, (c, o) in found.items():
            if differs(o):
                print("\t".join([name, fpr, c.digest, o.ours, o.gpg, o.sq, o.native,
                                 ",".join(explain(c, o, KEYRINGS[name][2]))]))


if __name__ == "__main__":
    write_table(sys.argv[1:] or list(KEYRINGS))
