"""Instances made, cut short, copied and damaged: init, store-key, audit, backup, restore, unseal."""
import base64
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import (ALICE, DOMAIN, any_instance, bare, certs, cold, fresh, harness, lines,  # noqa: E402,F401
                       live, make, refused, run, usage)
from store_format import dump  # noqa: E402


# init and the store key


def test_init(fresh):
    p = run(fresh, "init", "--domain", "Example.ORG", "--loopback", fresh.base)
    assert p.returncode == 0 and p.stdout == b"" and p.stderr.count(b"\n") == p.stderr.count(b" mind: ") == 2
    assert b"keep a copy of %s" % bytes(fresh.dir / "store.key") in p.stderr
    assert lines(fresh, "domain", "list") == ["example.org"]
    assert (fresh.place / "server.storekey").stat().st_mode & 0o777 == 0o600
    assert (fresh.dir / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600
    kept = {p: p.read_bytes() for p in fresh.dir.rglob("*") if p.is_file()}
    refused(fresh, "init", "--domain", "example.org", says="holds an instance already")
    assert kept == {p: p.read_bytes() for p in fresh.dir.rglob("*") if p.is_file()}


def test_of_many_inits_at_once_one_makes_the_instance(tmp_path):
    """The others find it made, or at work; no file of theirs is in it."""
    for n in range(4):
        i = bare(tmp_path, f"n{n}")
        args = [harness.BINARY, "init", "--domain", "a.example", "--loopback", str(i.base)]
        inits = [subprocess.Popen(args, env=i.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for _ in range(4)]
        said = [p.communicate(timeout=60)[1].decode() for p in inits]
        assert sorted(p.returncode for p in inits) == [0, 1, 1, 1], said
        for p, words in zip(inits, said):
            assert p.returncode == 0 or "holds an instance already" in words or "is at work on" in words
        assert len({subprocess.run(["openssl", *how], capture_output=True, check=True).stdout for how in (
            ["x509", "-pubkey", "-noout", "-in", i.dir / "tls/chain.pem"],
            ["pkey", "-pubout", "-in", i.dir / "tls/key.pem"])}) == 1
        assert lines(i, "domain", "list") == ["a.example"]


def test_init_refuses(fresh, tmp_path):
    for domain in ("", "a b", "x@y", "a..b", "[1.2.3.4]"):
        refused(fresh, "init", "--domain", domain, says="not a domain name")
    for base in ("x", "0", "70000", "-1", "20000x"):
        refused(fresh, "init", "--domain", "a.example", "--loopback", base, says="--loopback takes")
    assert not fresh.dir.exists()
    refused(fresh, "init", "--domain", "a.example", "--dir", fresh.place / "no" / "parent", says="No such file")
    (fresh.place / "file").write_text("x")
    refused(fresh, "init", "--domain", "a.example", "--dir", fresh.place / "file", says="Not a directory")
    # A folder with other things in it stays as it is
    junk = fresh.place / "junk"
    junk.mkdir(mode=0o755)
    (junk / "letter.txt").write_text("x")
    refused(fresh, "init", "--domain", "a.example", "--dir", junk, says=["letter.txt", "empty folder"])
    assert junk.stat().st_mode & 0o777 == 0o755 and os.listdir(junk) == ["letter.txt"]
    # Key files and passphrases that will not do
    for name, content, mode in (("short", b"x" * 31, 0o600), ("open", b"x" * 32, 0o644), ("long", b"x" * 5000, 0o600)):
        (fresh.place / name).write_bytes(content)
        (fresh.place / name).chmod(mode)
        refused(fresh, "init", "--domain", "a.example", "--store-key-file", fresh.place / name, says="no key file")
    (fresh.place / "empty").write_text("\nsecond line\n")
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "empty", says="empty")
    (fresh.place / "huge").write_text("x" * 1024 + "\n")
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "huge", says="too long")
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "none", says="none")
    credentials = {"CREDENTIALS_DIRECTORY": str(fresh.place)}
    (fresh.place / "letterlock-store-key").write_bytes(b"short")
    refused(fresh, "init", "--domain", "a.example", env=credentials, says="credential")
    (fresh.place / "letterlock-store-key").write_bytes(os.urandom(32))
    (fresh.place / "letterlock-store-key").chmod(0o644)  # serve would not take it
    refused(fresh, "init", "--domain", "a.example", env=credentials, says="others may read")
    assert not (fresh.dir / "letterlock.conf").exists()
    # And after all that, it works
    assert run(fresh, "init", "--domain", "a.example").returncode == 0


def cut_short(args, env, calls, n):
    """The command, killed by strace at its n-th system call of the kind."""
    return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e",
                           f"inject={calls}:signal=SIGKILL:when={n}", *map(str, args)], env=env, capture_output=True,
                          timeout=60, start_new_session=True)


def calls_of_interest(args, env, calls, place):
    """The numbers that system calls about the instance have, counted for each process as strace does: loading libraries
    makes some before them, how many is the build's affair."""
    trace = place / "trace"
    p = subprocess.run(["strace", "-f", "-qq", "-y", "-s", "300", "-o", trace, "-e", f"trace={calls}", *map(str, args)],
                       env=env, capture_output=True, timeout=60, start_new_session=True)
    assert p.returncode == 0, p.stderr
    counted, found = {}, set()
    for line in trace.read_text().splitlines():
        pid, _, rest = line.partition(" ")
        if re.match(r" *[a-z0-9]+\(", rest):  # else a signal, an end, or a call that goes on
            counted[pid] = counted.get(pid, 0) + 1
            found |= {counted[pid]} if f"{place}/" in rest else set()
    trace.unlink()
    return sorted(found)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("calls", ["mkdir,renameat2,link,fsync", "openat,chmod"])
def test_init_cut_short_and_again(fresh, calls):
    """Crash state 18. LeakSanitizer cannot run under a tracer."""
    env = dict(fresh.env, ASAN_OPTIONS="detect_leaks=0")
    args, seen = [fresh.binary, "init", "--domain", "example.org", "--loopback", str(fresh.base)], 0
    points = calls_of_interest(args, env, calls, fresh.place)
    for n in points[::len(points) // 10 or 1]:
        shutil.rmtree(fresh.dir, ignore_errors=True)
        (fresh.place / "server.storekey").unlink(missing_ok=True)
        cut_short(args, env, calls, n)
        seen += not (fresh.dir / "letterlock.conf").exists()
        key = fresh.place / "server.storekey"
        before = key.read_bytes() if key.exists() else None
        if not (fresh.dir / "letterlock.conf").exists():
            again = run(fresh, *args[1:])
            assert again.returncode == 0, (n, again.stderr)
        assert lines(fresh, "domain", "list") == ["example.org"], n
        assert before in (None, key.read_bytes())
        made = {p.name for p in fresh.dir.rglob("*") if p.is_file()}
        assert made == {"letterlock.conf", "store.key", "queue.key", "chain.pem", "key.pem", "data.mdb", "lock.mdb",
                        "reserve", "lock"}, n
    assert seen >= 4
    fresh.serve()


def test_init_goes_on_only_with_the_key_that_is_there(fresh):
    (fresh.place / "words").write_text("one\n")
    fresh.run("init", "--domain", "a.example", "--passphrase-file", fresh.place / "words")
    (fresh.dir / "letterlock.conf").unlink()
    kept = (fresh.dir / "store.key").read_bytes()
    (fresh.place / "others").write_text("two\n")
    for args in (["--passphrase-file", fresh.place / "others"], []):
        refused(fresh, "init", "--domain", "a.example", *args, says=["store.key is there already", "does not open it"])
    assert (fresh.dir / "store.key").read_bytes() == kept
    fresh.run("init", "--domain", "a.example", "--passphrase-file", fresh.place / "words")
    assert (fresh.dir / "store.key").read_bytes() == kept
    # A chain without its key is not made anew over somebody's certificate
    (fresh.dir / "letterlock.conf").unlink()
    (fresh.dir / "tls" / "key.pem").unlink()
    refused(fresh, "init", "--domain", "a.example", "--passphrase-file", fresh.place / "words", says="without its key")


def test_passphrase(fresh):
    words = fresh.place / "words"
    words.write_text("correct horse\r\nsecond line\n")
    said = run(fresh, "init", "--domain", "a.example", "--loopback", fresh.base, "--passphrase-file", words).stderr
    assert said.count(b"\n") == 1 and b"keep a copy" in said
    refused(fresh, "account", "list", says=["no terminal", "LETTERLOCK_PASSPHRASE_FILE"])
    (fresh.place / "wrong").write_text("correct horse \n")
    refused(fresh, "account", "list", env={"LETTERLOCK_PASSPHRASE_FILE": str(fresh.place / "wrong")},
            says="passphrase is wrong")
    refused(fresh, "account", "list", env={"LETTERLOCK_PASSPHRASE_FILE": str(fresh.place / "none")},
            says="LETTERLOCK_PASSPHRASE_FILE")
    refused(fresh, "serve", env={"LETTERLOCK_PASSPHRASE_FILE": str(fresh.place / "wrong")}, says="passphrase is wrong")
    fresh.env["LETTERLOCK_PASSPHRASE_FILE"] = str(words)
    assert lines(fresh, "account", "list") == [] and lines(fresh, "domain", "list") == ["a.example"]
    fresh.serve()
    assert fresh.status()["store_key_slots"] == ["passphrase"]


def test_the_longest_passphrase_that_is_taken_opens(fresh):
    words = fresh.place / "words"
    words.write_text("x" * 1023 + "\n" + "comment\n" * 50)
    fresh.env["LETTERLOCK_PASSPHRASE_FILE"] = str(words)
    fresh.run("init", "--domain", "a.example", "--passphrase-file", words)
    assert lines(fresh, "domain", "list") == ["a.example"]


def test_credential(fresh):
    folder = fresh.place / "credentials"
    folder.mkdir()
    (folder / "letterlock-store-key").write_bytes(os.urandom(32))
    (folder / "letterlock-store-key").chmod(0o400)
    env = {"CREDENTIALS_DIRECTORY": str(folder)}
    said = run(fresh, "init", "--domain", "a.example", env=env).stderr
    assert said.count(b"\n") == 1 and b"keep a copy" in said and b"a stolen disk" not in said
    assert not (fresh.place / "server.storekey").exists()
    assert run(fresh, "domain", "list", env=env).stdout == b"a.example\n"
    refused(fresh, "domain", "list", says="store key does not open")
    (folder / "letterlock-store-key").chmod(0o600)
    (folder / "letterlock-store-key").write_bytes(os.urandom(32))
    refused(fresh, "domain", "list", env=env, says="opens no slot")


def test_store_key(fresh, tmp_path):
    fresh.run("init", "--domain", "a.example")
    assert re.fullmatch(r" *1  key file, made \d{4}-\d\d-\d\d\n", fresh.run("store-key", "list").stdout.decode())
    refused(fresh, "store-key", "remove", "1", says=["last slot", "add another"])
    for bad in ("", "x", "99999999999"):
        refused(fresh, "store-key", "remove", bad, says="store-key list")
    refused(fresh, "store-key", "remove", "7", says=["no slot 7", "store-key list"])
    words = fresh.place / "words"
    words.write_text("open sesame\n")
    fresh.run("store-key", "add", "--passphrase-file", words)
    given = fresh.place / "letterlock-store-key"
    given.write_bytes(b"x" * 31)
    given.chmod(0o600)
    refused(fresh, "store-key", "add", "--credential-file", given, says="no key")
    given.write_bytes(os.urandom(32))
    given.chmod(0o604)
    refused(fresh, "store-key", "add", "--credential-file", given, says="others may read")
    given.chmod(0o600)
    fresh.run("store-key", "add", "--credential-file", given)
    assert "systemd credential" in lines(fresh, "store-key", "list")[2]
    away = fresh.place / "away.conf"
    shutil.copy(fresh.dir / "letterlock.conf", away)
    fresh.configure(store_key_file="")
    subprocess.run([fresh.binary, "account", "list"], env={**fresh.env, "CREDENTIALS_DIRECTORY": str(fresh.place)},
                   check=True)
    shutil.copy(away, fresh.dir / "letterlock.conf")
    fresh.run("store-key", "remove", "3")
    key = fresh.place / "second.key"
    out = subprocess.run([fresh.binary, "store-key", "add", "--store-key-file", "second.key"], env=fresh.env,
                         cwd=fresh.place,
                         capture_output=True, check=True).stdout.decode()
    assert f"store_key_file = {key}" in out  # whole, though a relative one was given
    refused(fresh, "store-key", "add", "--store-key-file", key, says="exists")
    refused(fresh, "store-key", "add", "--store-key-file", fresh.place / "no" / "key", says="No such file")
    refused(fresh, "store-key", "add", "--passphrase-file", fresh.place / "none", says="none")
    assert [x.split(",")[0].split("  ")[-1] for x in lines(fresh, "store-key",
                                                           "list")] == ["key file", "passphrase", "key file"]
    assert fresh.run("store-key", "remove", "1").stderr.endswith(
        b"server.storekey, which store_key_file names, opens the store key no more: "
        b"name the file of a slot that is left\n")
    refused(fresh, "domain", "list", says="store key does not open")
    assert run(fresh, "domain", "list", env={"LETTERLOCK_PASSPHRASE_FILE": str(words)}).stdout == b"a.example\n"
    fresh.configure(store_key_file=key)
    assert lines(fresh, "domain", "list") == ["a.example"]
    assert fresh.run("store-key", "remove", "2").stderr == b""
    refused(fresh, "store-key", "remove", "3", says="last slot")
    key.chmod(0o644)
    refused(fresh, "domain", "list", says="others may read it")
    key.chmod(0o600)
    key.write_bytes(os.urandom(32))
    refused(fresh, "domain", "list", says=[str(key), "opens no slot"])


def test_store_key_missing_or_foreign(fresh):
    fresh.run("init", "--domain", "a.example", "--loopback", fresh.base)
    other = bare(fresh.place.parent, "other")
    other.run("init", "--domain", "b.example")
    kept = (fresh.dir / "store.key").read_bytes()
    (fresh.dir / "store.key").unlink()
    for args in (["domain", "list"], ["domain", "add", "c.example"], ["serve"], ["audit"]):
        refused(fresh, *args, says=["store.key", "not found"])
    # Another instance's store.key, with the file that opens it
    (fresh.dir / "store.key").write_bytes((other.dir / "store.key").read_bytes())
    refused(fresh, "domain", "list", says="opens no slot")
    fresh.configure(store_key_file=other.place / "other.storekey")
    refused(fresh, "domain", "list", says=["opens no slot", "queue.key"])
    kept_queue = (fresh.dir / "queue.key").read_bytes()
    (fresh.dir / "queue.key").write_bytes((other.dir / "queue.key").read_bytes())
    for args in (["domain", "list"], ["domain", "add", "c.example"], ["status"]):
        refused(fresh, *args, says=["another store's", "store.key"])
    p = run(fresh, "serve")
    assert p.returncode == 1 and b"not this store's" in p.stderr
    (fresh.dir / "store.key").write_bytes(b"junk")
    refused(fresh, "domain", "list", says="malformed")
    (fresh.dir / "store.key").write_bytes(kept)
    fresh.configure(store_key_file=fresh.place / "server.storekey")
    refused(fresh, "domain", "list", says=["opens no slot", "queue.key"])
    (fresh.dir / "queue.key").write_bytes(kept_queue)
    assert lines(fresh, "domain", "list") == ["a.example"]


def test_queue_key_lost(fresh):
    """What opens the store key opens a new one too; one that is there is never overwritten."""
    fresh.run("init", "--domain", "a.example")
    words = fresh.place / "words"
    words.write_text("open sesame\n")
    fresh.run("store-key", "add", "--passphrase-file", words)
    kept = (fresh.dir / "queue.key").read_bytes()
    refused(fresh, "store-key", "new-queue", says="queue.key is there")
    assert (fresh.dir / "queue.key").read_bytes() == kept
    for lost in (lambda p: p.unlink(), lambda p: p.write_bytes(b"junk")):
        lost(fresh.dir / "queue.key")
        for args in (["domain", "list"], ["serve"], ["audit"]):
            refused(fresh, *args, says=["queue.key", "new-queue"])
    (fresh.dir / "queue.key").unlink()
    fresh.run("store-key", "new-queue")
    assert lines(fresh, "domain", "list") == ["a.example"]
    # The passphrase's slot is in store.key alone: it is shown, opens nothing, and can be removed.
    assert ["half done" in x for x in lines(fresh, "store-key", "list")] == [False, True]
    refused(fresh, "store-key", "remove", "1", says="last slot")
    fresh.run("store-key", "remove", "2")
    assert len(lines(fresh, "store-key", "list")) == 1


def test_a_fifo_is_no_key(fresh):
    """Nobody will ever write it: who opens it as if it were a file waits for ever."""
    fresh.run("init", "--domain", "a.example", "--loopback", fresh.base)
    for path, said in ((fresh.place / "server.storekey", "is not a file"), (fresh.dir / "store.key", "malformed")):
        kept = path.read_bytes()
        path.unlink()
        os.mkfifo(path, 0o600)
        for args in (["serve"], ["domain", "list"]):
            refused(fresh, *args, says=[str(path), said])
        path.unlink()
        path.write_bytes(kept)
        path.chmod(0o600)
    assert lines(fresh, "domain", "list") == ["a.example"]


def patch(file, old, new):
    data = pathlib.Path(file).read_bytes()
    assert data.count(old) >= 1 and len(old) == len(new)
    pathlib.Path(file).write_bytes(data.replace(old, new))


def test_a_newer_store_is_refused(fresh, tmp_path):
    fresh.run("init", "--domain", "a.example", "--loopback", fresh.base)
    file = fresh.dir / "store" / "data.mdb"
    version = dump(file, "kv", tmp_path)[bytes(8) + b"V"]
    newer = (int.from_bytes(version[:4], "big") + 1).to_bytes(4, "big") + version[4:]
    patch(file, version, newer)
    for args in (["status"], ["domain", "list"], ["domain", "add", "b.example"], ["audit"],
                 ["backup", fresh.place / "b"]):
        refused(fresh, *args, says=["newer letterlock", "use that version"])
    assert not (fresh.place / "b").exists()
    p = run(fresh, "serve")
    assert p.returncode == 1 and b"a newer version wrote the store: use that one" in p.stderr
    patch(file, newer, version)
    assert lines(fresh, "domain", "list") == ["a.example"]


# Audit, backup, restore, unseal


@pytest.fixture(scope="module")
def filled(certs):
    """Stopped, with three messages of alice's."""
    with make(certs, True) as i:
        for n in range(3):
            i.send(ALICE, harness.mail(subject=f"number {n}", body="A line of the letter.\n" * 50))
        i.stop()
        yield i


def copy_of(i, name):
    other = bare(i.place, name)
    shutil.copytree(i.dir, other.dir)
    if os.geteuid() == 0:
        uid = (i.dir / "store").stat().st_uid
        for p in (other.dir / "store", *(other.dir / "store").iterdir()):
            os.chown(p, uid, uid)
    other.base, other.passwords = i.base, i.passwords
    return other


def test_audit(filled, tmp_path):
    text = filled.run("audit").stdout.decode()
    found = re.fullmatch(r"1 accounts, 3 messages, (\d+) files, (\d+) bytes read: 0 faults, 0 canaries in the clear\n",
                         text)
    files = [p for p in filled.dir.rglob("*") if p.is_file()]
    assert int(found[1]) == len(files) and int(found[2]) == sum(p.stat().st_size for p in files)
    refused(filled, "audit", "--canary", tmp_path / "none", says="none")
    for bad in (b"", b"\n\n", b"tiny\n", b"x" * 1025, b"canary\0bird\n"):
        (tmp_path / "bad").write_bytes(bad)
        refused(filled, "audit", "--canary", tmp_path / "bad", says="bad")


def test_audit_finds_canaries(filled, tmp_path):
    canaries = tmp_path / "canaries"
    canaries.write_text("A line of the letter.\r\n\nnumber 1\nunheard-of bird\n")
    assert b"0 canaries" in filled.run("audit", "--canary", canaries).stdout
    other = copy_of(filled, "leaky")
    leak = other.dir / "run" / "leak"
    bird = b"unheard-of bird"
    try:
        for place in (0, 5, (1 << 20) - 7, (1 << 20) - 1, 1 << 20, 3 * (1 << 20)
                      + 11):  # the seams of the search as well
            leak.write_bytes(b"." * place + bird + b"." * 99)
            p = run(other, "audit", "--canary", canaries)
            assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"1 canaries in the clear" in p.stderr
            assert f"leak: canary of line 4 in the clear at byte {place}\n".encode() in p.stdout, p.stdout
        for shift in range(3):
            leak.write_bytes(base64.b64encode(b"x" * shift + bird + b"yz"))
            p = run(other, "audit", "--canary", canaries)
            assert p.returncode == 1 and b"line 4 in the clear (base64)" in p.stdout
    finally:
        shutil.rmtree(other.dir)


@pytest.mark.parametrize("what", ["header", "length", "keyid", "capsule"])
def test_audit_finds_damage(filled, tmp_path, what):
    other = copy_of(filled, "damaged-" + what)
    file = other.dir / "store" / "data.mdb"
    blobs = dump(file, "blob", tmp_path)
    high = 0x80 if what == "capsule" else 0
    fence = b"\0" * 8
    old = next(v for k, v in sorted(blobs.items()) if k[0] & 0xc0 == high and k[8:16] != fence and v)
    at = {"header": 0, "length": 1, "keyid": 4, "capsule": 0}[what]
    head = old[:120]
    patch(file, head, head[:at] + bytes([head[at] ^ 0x11]) + head[at + 1:])
    p = run(other, "audit")
    assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and b"1 faults" in p.stderr, p
    assert re.match(rb"account 16 message \d+: does not pass the gate: \w+", p.stdout)
    shutil.rmtree(other.dir)


def uidvalidities(i):
    m = i.imap(ALICE)
    try:
        names = ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive")
        return {n: int(re.search(rb"UIDVALIDITY (\d+)", m.status(n, "(UIDVALIDITY)")[1][0]).group(1)) for n in names}
    finally:
        m.logout()


def test_backup_under_mail_and_restore(certs, tmp_path):
    with make(certs, True) as i:
        i.send(ALICE, harness.mail(subject="before"))
        before = uidvalidities(i)
        stop, sent = threading.Event(), []

        def deliver():
            with i.smtp() as s:
                while not stop.is_set():
                    s.sendmail("x@example.org", [ALICE], harness.mail(subject=f"during {len(sent)}", body="x" * 2000))
                    sent.append(1)
        sender = threading.Thread(target=deliver)
        sender.start()
        try:
            while len(sent) < 3:
                time.sleep(0.01)
            out = i.run("backup", i.place / "backup").stdout.decode()
            refused(i, "backup", i.place / "backup", says=["exists", "new one"])
            refused(i, "restore", i.place / "backup", says="at work")
        finally:
            stop.set()
            sender.join()
        assert f"{(i.place / 'backup' / 'data.mdb').stat().st_size} bytes" in out and "store.key" in out
        assert sorted(os.listdir(i.place / "backup")) == ["data.mdb", "letterlock.conf"]
        assert len(i.fetch_all(ALICE)) == len(sent) + 1
        i.stop()
        refused(i, "backup", i.place / "no" / "backup", says="No such file")
        refused(i, "restore", i.place / "backup", says="holds a store already")
        refused(i, "restore", i.place, says="not a backup")
        # A fresh folder with the configuration and the store key
        other = bare(i.place, "restored")
        other.base, other.passwords = i.base, i.passwords
        other.dir.mkdir(mode=0o711)
        refused(other, "restore", i.place / "backup", says="init")
        shutil.copy(i.place / "backup" / "letterlock.conf", other.dir)
        refused(other, "restore", i.place / "backup", says="store.key")
        shutil.copy(i.dir / "store.key", other.dir)
        refused(other, "restore", i.place / "backup", says="queue.key")
        shutil.copy(i.dir / "queue.key", other.dir)
        shutil.copytree(i.dir / "tls", other.dir / "tls")
        # A backup that is damaged, and one that is cut off: no store comes of them
        whole = (i.place / "backup" / "data.mdb").read_bytes()
        for junk in (b"junk" * 5000, whole[:6000], b""):
            (i.place / "junk").mkdir()
            (i.place / "junk" / "data.mdb").write_bytes(junk)
            p = run(other, "restore", i.place / "junk")
            if junk:
                assert p.returncode == 1 and b"damaged" in p.stderr.splitlines()[-1], p
            shutil.rmtree(i.place / "junk")
            assert p.returncode == 1 and sorted(os.listdir(other.dir)) == [
                "letterlock.conf",
                "queue.key",
                "run",
                "store.key",
                "tls",
            ], p
        restore_cut_short(other, i.place / "backup")
        said = other.run("restore", i.place / "backup").stdout
        assert b"undone" in said and b"key list" in said and b"app-password list" in said
        backup_cut_short(other, i.place)
        assert not (other.dir / "restore").exists()
        assert b"0 faults" in other.run("audit").stdout
        other.serve()
        after = uidvalidities(other)
        assert all(after[n] > max(before.values()) for n in before)
        messages = list(other.fetch_all(ALICE).values())
        assert 4 <= len(messages) <= len(sent) + 1
        ring = certs[1]
        for m in (messages[0], messages[-1]):
            plain = other.run("unseal", data=ring.decrypt(harness.armor_of(m))).stdout
            assert plain.startswith(b"From: ") and b"Subject: " in plain
        other.send(ALICE, harness.mail(subject="after"))
        assert len(other.fetch_all(ALICE)) == len(messages) + 1
        other.stop()


def restore_cut_short(i, backup):
    """Crash state 19: whenever it is killed, there is no store, or one with new UIDVALIDITYs."""
    harness.need("strace")
    env = dict(i.env, ASAN_OPTIONS="detect_leaks=0")
    for calls, n in (("mkdir", 1), ("mkdir", 2), ("fsync,fdatasync,msync", 1), ("fsync,fdatasync,msync", 2),
                     ("rename", 1)):
        p = cut_short([i.binary, "restore", backup], env, calls, n)
        assert p.returncode != 0
        assert not (i.dir / "store" / "data.mdb").exists(), (calls, n)
        shutil.rmtree(i.dir / "store", ignore_errors=True)


def backup_cut_short(i, place):
    """Crash state 42: until all of it is there, what is left is not taken for a backup."""
    target = place / "cut"
    assert cut_short([i.binary, "backup", target], dict(i.env, ASAN_OPTIONS="detect_leaks=0"), "rename", 1).returncode
    assert sorted(os.listdir(target)) == ["data.mdb.part", "letterlock.conf"]
    refused(i, "restore", target, says="not a backup")


@pytest.mark.parametrize("junk", [b"", b"junk", b"From: a@b\r\n\r\nbody",
                                  b"Letterlock-Seal: v=1; len=99999999; ins=0+00000010\r\n\r\n",
                                  b"Letterlock-Seal: v=2; len=1; ins=0+00000010\r\n\r\nx", b"\0" * 5000])
def test_unseal_of_garbage(cold, junk):
    refused(cold, "unseal", data=junk, says="not a decrypted message")


def test_unseal_without_an_instance(filled, certs, tmp_path):
    filled.serve()
    sealed = harness.armor_of(next(iter(filled.fetch_all(ALICE).values())))
    filled.stop()
    plain = certs[1].decrypt(sealed)
    env = {"LETTERLOCK_DIR": ""}
    out = run(filled, "unseal", data=plain, env=env)
    assert (
        out.returncode == 0
        and out.stdout.startswith(b"From: sender@example.org\r\n")
        and b"Letterlock" not in out.stdout
    )
    # From a socket as well: stdin is what it is
    a, b = socket.socketpair()
    p = subprocess.Popen([filled.binary, "unseal"], stdin=b, stdout=subprocess.PIPE)
    b.close()
    a.sendall(plain)
    a.close()
    assert p.communicate(timeout=30)[0] == out.stdout
    for end in (1, 40, len(plain) // 2, len(plain) - 1):
        p = run(filled, "unseal", data=plain[:end])
        assert p.returncode == 1 and p.stdout == b"", end
