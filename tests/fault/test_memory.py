"""Plaintext in memory: how much of it a 30 MB mail takes in the whole process, and that it stands only where neither
swap nor a core dump takes it. Runs against the released build: a sanitizer's allocator has sizes of its own."""
import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

import harness
import pytest
from test_fail_closed import certificate_for_gpg
from test_nothing_remembered import Canaries, command, mail_with, raw_smtp

pytestmark = pytest.mark.needs("root", "the released build")
MB = 1 << 20
SIZE = 30 * MB


def kb(pid, name):
    return int(re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def unlimited_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture
def one_ingest():
    with harness.Instance(binary=str(harness.released())) as i:
        i.init(ingest_instances="1", access_instances="1", message_max=f"{40 * MB}")
        yield i


def large_mail(word):
    line = f"{word} " + "x" * 60 + "\n"
    return harness.mail("30 MB", line * (SIZE // len(line)))


def test_a_30_mb_mail_takes_its_size_and_little_more(one_ingest):
    """The process's peak, with one recipient and with four."""
    i = one_ingest
    people = [i.add_account(name) for name in ["alice", "bob", "carol", "dave"]]
    i.serve()
    for person in people:
        i.send(person, harness.mail())
    pid, = i.pids("ingest")
    before = kb(pid, "VmRSS")
    for recipients in [people[:1], people]:
        message = large_mail("thirty")
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        i.send(recipients, message)
        more = kb(pid, "VmHWM") - before
        print(
            f"{len(recipients)} recipients: {len(message) // 1024} KB of mail, {more} KB of memory more than the"
            f" {before} KB of a process that had taken small mail"
        )
        # Chunks have 64 octets of head each; sockets, capsule and protected header take a little.
        assert more <= len(message) / 1024 * (1 + 64 / 65536) + 256 * len(recipients) + 512
    assert i.pids("ingest") == [pid]


def test_mail_that_comes_encrypted_takes_three_times_its_size(one_ingest):
    """To decide by its packets it is laid out in one piece, and its armour or base64 undone beside it; one mail at a
    time."""
    i = one_ingest
    alice = i.add_account("alice")
    i.serve()
    i.send(alice, harness.mail())
    pid, = i.pids("ingest")
    text = os.urandom(20 * MB)
    i.keyring.gpg("--output", str(i.place / "packets"), "--armor", "--recipient", alice, "--encrypt", data=text)
    armored = (i.place / "packets").read_text()
    message = harness.mail(
        "encrypted",
        (
            "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type:"
            f" application/octet-stream\n\n{armored}\n--b--\n"
        ),
        extra=(
            'MIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n'
        ),
    )
    before = kb(pid, "VmRSS")
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    i.send(alice, message)
    more = kb(pid, "VmHWM") - before
    print(f"{len(message) // 1024} KB of encrypted mail, {more} KB of memory more")
    assert more <= 3 * len(message) / 1024 + 1024
    kept = max(i.fetch_all(alice).values(), key=len)
    assert i.keyring.decrypt(harness.armor_of(kept)) == text, "it was sealed again"


def maps_of(pid):
    """(from, to, flags, locked KB, resident KB) of each map."""
    out = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if m := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            out.append([int(m[1], 16), int(m[2], 16), set(), 0, 0])
        elif m := re.match(r"(Rss|Locked):\s+(\d+)", line):
            out[-1][4 if m[1] == "Rss" else 3] = int(m[2])
        elif line.startswith("VmFlags:"):
            out[-1][2] = set(line.split()[1:])
    return out


def places_of(pid, word):
    """Addresses at which the word stands."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for at, end, *_ in maps_of(pid):
            if at >> 63:  # the kernel's own
                continue
            overlap = b""
            while at < end:
                try:
                    memory.seek(at)
                    data = memory.read(min(MB, end - at))
                except OSError:
                    break
                if not data:
                    break
                found += [at - len(overlap) + m.start() for m in re.finditer(re.escape(word), overlap + data)]
                at, overlap = at + len(data), data[-100:]
    return found


def test_plaintext_stands_where_neither_swap_nor_a_dump_takes_it(one_ingest):
    i = one_ingest
    alice = i.add_account("alice")
    i.serve()
    pid, = i.pids("ingest")
    word = f"Rara{os.urandom(8).hex()}"
    message = large_mail(word)
    with raw_smtp(i, "sender@example.org", alice) as s:
        command(s, b"DATA\r\n", b"354")
        s.sendall(message[:-1000])
        time.sleep(1)
        found, maps = places_of(pid, word.encode()), maps_of(pid)
        assert len(found) > SIZE // 200
        holding = {}
        for at in found:
            low, high, flags, locked, resident = next(m for m in maps if m[0] <= at < m[1])
            assert "dd" in flags, f"{low:x}-{high:x} would be in a core dump"
            holding[low, high] = locked if "lo" in flags else 0, resident
        locked, resident = (sum(x[n] for x in holding.values()) for n in (0, 1))
        soft, hard = re.search(r"^Max locked memory\s+(\S+)\s+(\S+)", pathlib.Path(f"/proc/{pid}/limits").read_text(),
                               re.M).groups()
        assert soft == hard
        print(f"{locked} of {resident} KB that hold plaintext are locked; the limit is {hard}")
        if hard == "unlimited":
            assert locked == resident
        else:  # started without the privilege to raise it: as much as it lets
            assert locked >= min(resident, int(hard) // 1024 - 512)


def test_no_core_of_any_role(one_ingest):
    """Every role has a limit and is undumpable; and one that is killed in the middle of a mail leaves no core, although
    the server was started with cores allowed."""
    i = one_ingest
    alice = i.add_account("alice")
    i.serve(cwd=i.place, preexec_fn=unlimited_core)
    for r in i.status()["roles"]:
        if not r["pid"]:
            continue
        limits = pathlib.Path(f"/proc/{r['pid']}/limits").read_text()
        assert re.search(r"^Max core file size\s+[01]\s+[01]\s", limits, re.M), f"{r['role']}: {limits}"
        # /proc's files of an undumpable process belong to root, whoever it runs as.
        uid = int(re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{r['pid']}/status").read_text(), re.M).group(1))
        if uid:
            assert os.stat(f"/proc/{r['pid']}/maps").st_uid == 0, f"{r['role']} is dumpable"
    words = Canaries().of("in a core")
    killed = {}
    with raw_smtp(i, "sender@example.org", alice) as s:
        command(s, b"DATA\r\n", b"354")
        s.sendall(mail_with(words)[:20000])
        time.sleep(0.3)
        for role in ["ingest", "access", "vault"]:
            killed[role], = i.pids(role)[:1]
            os.kill(killed[role], signal.SIGSEGV)
        time.sleep(2)
    assert all(not pathlib.Path(f"/proc/{pid}").exists() for pid in killed.values())
    assert not [p for p in i.place.rglob("*core*") if p.is_file()]
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if not pattern.startswith("|"):
        folder = pathlib.Path(pattern).parent if pattern.startswith("/") else pathlib.Path("/")
        assert not [p for p in folder.glob("*core*") if p.is_file() and p.stat().st_mtime > time.time() - 60]


def test_cores_are_made_here_at_all():
    """The control to the one above: without our care a process killed alike does leave one, if this machine writes them
    as files."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern or pattern.startswith("|"):
        pytest.skip(f"cores go elsewhere: {pattern}")
    with tempfile.TemporaryDirectory() as place:
        p = subprocess.Popen([sys.executable, "-c", "input()"], cwd=place, stdin=subprocess.PIPE,
                             preexec_fn=unlimited_core)
        time.sleep(0.3)
        p.send_signal(signal.SIGSEGV)
        p.wait()
        assert list(pathlib.Path(place).iterdir()), pattern


def test_what_a_gpg_locks():
    """docs/threats.md, "Memory": the pool that libgcrypt keeps keys in, in every gpg that seals."""
    locked, done = {}, threading.Event()

    def watch(role):
        while not done.is_set():
            for pid in pathlib.Path(f"/proc/{role}/task/{role}/children").read_text().split():
                with contextlib.suppress(OSError, AttributeError):
                    if os.readlink(f"/proc/{pid}/exe") == "/usr/bin/gpg":
                        locked[pid] = max(locked.get(pid, 0), kb(pid, "VmLck"))

    with harness.Instance(binary=str(harness.released())) as i:
        odd = f"odd@{harness.DOMAIN}"
        i.init()
        cert = i.place / "odd.asc"
        cert.write_bytes(certificate_for_gpg(i, odd))
        i.run("account", "add", odd, "--key", cert)
        i.serve()
        watching = threading.Thread(target=watch, args=i.pids("gpg-seal"))
        watching.start()
        for n in range(3):
            i.send(odd, large_mail(f"locked{n}"))
        done.set()
        watching.join()
    print(locked)
    assert len(locked) >= 3 and sum(v == 64 for v in locked.values()) >= 3
