"""A store that an older version wrote: refused until `letterlock upgrade` has brought it up to date, whatever kills
that; and stores that nothing can bring up to date."""
import ctypes
import ctypes.util
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import (ALICE, any_instance, bare, certs, harness, lines, make, refused, run,  # noqa: E402,F401
                       usage)
from store_format import USE, derived, dump, open_record, store_key, u  # noqa: E402

UPGRADE = "run letterlock upgrade"
V, C = bytes(8) + b"V", bytes(8) + b"C"


@pytest.fixture(scope="module")
def filled(certs):
    """Stopped, with three messages of alice's."""
    with make(certs, True) as i:
        for n in range(3):
            i.send(ALICE, harness.mail(subject=f"number {n}", body="A line of the letter.\n" * 50))
        i.stop()
        yield i


@pytest.fixture
def i(filled, tmp_path):
    other = bare(tmp_path)
    shutil.copytree(filled.dir, other.dir)
    if os.geteuid() == 0:
        uid = (filled.dir / "store").stat().st_uid
        for p in (other.dir / "store", *(other.dir / "store").iterdir()):
            os.chown(p, uid, uid)
    shutil.copy(filled.place / "storekey", other.place / "storekey")
    other.base, other.passwords = filled.base, filled.passwords
    other.configure(store_key_file=other.place / "storekey")
    return other


def values(i, tmp_path):
    place = tmp_path / os.urandom(4).hex()
    place.mkdir()
    kv = dump(i.dir / "store/data.mdb", "kv", place)
    return kv[V], kv[C]


def patch(i, *pairs):
    file = i.dir / "store/data.mdb"
    data = file.read_bytes()
    for old, new in pairs:
        assert old in data and len(old) == len(new)
        data = data.replace(old, new)
    file.write_bytes(data)


def seal(key, place, plain):
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    out, nonce = ctypes.create_string_buffer(len(plain) + 16), os.urandom(24)
    assert sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, plain, ctypes.c_ulonglong(len(plain)), place, ctypes.c_ulonglong(len(place)), None, nonce, key) == 0
    return bytes([2]) + nonce + out.raw


def set_step(i, step, tmp_path):
    """As whoever holds the key can; the rest of the store is as it was."""
    version, check = values(i, tmp_path)
    key = store_key(i)
    plain = open_record(key, USE["DIRECTORY"], C, check)
    assert len(version) == 32 and plain[:32] == version
    older = version[:28] + step.to_bytes(4, "big")
    patch(i, (version, older), (check, seal(derived(key, USE["DIRECTORY"]), C, older + plain[32:])))


def step_of(i, tmp_path):
    return u(values(i, tmp_path)[0][28:])


def is_whole(i):
    assert b" 3 messages," in i.run("audit").stdout
    i.serve()
    try:
        assert len(i.fetch_all(ALICE)) == 3
        i.send(ALICE, harness.mail(subject="one more"))
        assert len(i.fetch_all(ALICE)) == 4
        assert lines(i, "upgrade") == ["The store is up to date: nothing was to do."]
    finally:
        i.stop()


def test_refused_upgraded_and_served(i, tmp_path):
    assert lines(i, "upgrade") == ["The store is up to date: nothing was to do."]
    assert not (i.place / "server.before-upgrade").exists()
    set_step(i, 0, tmp_path)
    before = (i.dir / "store/data.mdb").read_bytes()
    for args in (["domain", "list"], ["domain", "add", "b.example"], ["account", "list"], ["audit"], ["status"],
                 ["backup", i.place / "b"]):
        refused(i, *args, says=["an older letterlock made it", UPGRADE])
    p = run(i, "serve")
    assert p.returncode == 1 and p.stderr.count(UPGRADE.encode()) == 2, p.stderr  # the vault's word and master's
    assert (i.dir / "store/data.mdb").read_bytes() == before
    told = lines(i, "upgrade")
    assert told[0].startswith(f"{i.place}/server.before-upgrade/data.mdb: ")
    assert told[-1].startswith("step 1 of 1 is done: ")
    assert step_of(i, tmp_path) == 1
    is_whole(i)
    # What was copied before is the old store, and a restore brings it up to date.
    shutil.rmtree(i.dir / "store")
    (i.dir / "store").mkdir(mode=0o700)
    told = lines(i, "restore", i.place / "server.before-upgrade")
    assert any(line.startswith("step 1 of 1 is done: ") for line in told)
    assert step_of(i, tmp_path) == 1
    is_whole(i)


def test_where_the_backup_goes(i, tmp_path):
    usage(i, "upgrade", "--backup", i.place / "x", "--no-backup")
    set_step(i, 0, tmp_path)
    (i.place / "server.before-upgrade").mkdir()
    refused(i, "upgrade", says=["before-upgrade", "no whole copy", "--backup"])
    (i.place / "server.before-upgrade/data.mdb").touch()
    refused(i, "upgrade", says=["before-upgrade", "a copy already", "--no-backup", "--backup"])
    refused(i, "upgrade", "--backup", i.place / "none/there", says=["none/there", "No such file"])
    assert step_of(i, tmp_path) == 0
    assert lines(i, "upgrade", "--backup", i.place / "here")[0].startswith(f"{i.place}/here/data.mdb: ")
    assert (i.place / "server.before-upgrade/data.mdb").stat().st_size == 0
    set_step(i, 0, tmp_path)
    assert [line.split(":")[0] for line in lines(i, "upgrade", "--no-backup")] == ["step 1 of 1 is done"]


def test_a_copy_that_nothing_has_opened(i, tmp_path):
    """A backup's file put in place by hand: readers cannot open it before a vault has."""
    set_step(i, 0, tmp_path)
    i.run("upgrade")
    shutil.copy(i.place / "server.before-upgrade/data.mdb", i.dir / "store/data.mdb")
    assert step_of(i, tmp_path) == 0
    told = lines(i, "upgrade", "--backup", i.place / "again")
    assert told[-1].startswith("step 1 of 1 is done: ") and (i.place / "again/data.mdb").exists()
    is_whole(i)
    # The same of a store that is up to date
    i.run("backup", i.place / "new")
    shutil.copy(i.place / "new/data.mdb", i.dir / "store/data.mdb")
    assert lines(i, "upgrade") == ["The store is up to date: nothing was to do."]
    assert lines(i, "domain", "list") == [harness.DOMAIN]


def test_killed_anywhere(i, tmp_path):
    set_step(i, 0, tmp_path)
    begin = time.monotonic()
    lines(i, "upgrade", "--no-backup")
    whole, seen = time.monotonic() - begin, set()  # as fast as this machine is now
    for n in range(24):
        set_step(i, 0, tmp_path)
        p = subprocess.Popen([i.binary, "upgrade", "--no-backup"], env=i.env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 1.5 * whole))
        p.send_signal(signal.SIGKILL)
        p.wait()
        step = None
        for _ in range(100):  # the vault ends with it
            q = run(i, "domain", "list")
            step = {0: 1, 1: 0}[q.returncode]
            if step or b"at work" not in q.stderr:
                break
            time.sleep(0.05)
        assert step or UPGRADE.encode() in q.stderr, q.stderr
        seen.add(step)
        lines(i, "upgrade", "--no-backup")
        assert step_of(i, tmp_path) == 1
    assert seen == {0, 1}, "the kills come at too few moments"
    is_whole(i)


def test_no_step_without_the_key(i, tmp_path):
    """'V' alone, changed by whoever has the file and not the key."""
    version, _ = values(i, tmp_path)
    other = version[:28] + bytes(4)
    patch(i, (version, other))
    for args in (["domain", "list"], ["upgrade"], ["audit"]):
        assert "damaged" in refused(i, *args, says="cannot be opened")
    p = run(i, "serve")
    assert p.returncode == 1 and b"is damaged, or not a store" in p.stderr
    patch(i, (other, version))
    is_whole(i)


def test_a_newer_step(i, tmp_path):
    set_step(i, 2, tmp_path)
    for args in (["domain", "list"], ["upgrade"], ["audit"]):
        refused(i, *args, says=["newer letterlock", "use that version"])


def to_schema_1(file, version):
    """Its 'V' had 28 octets: u32 1, u64 time, raw16 uuid. LMDB's pages have their nodes at the end, behind each other;
    what is before this one moves up by the four octets that go."""
    data = bytearray(file.read_bytes())
    node = (32).to_bytes(2, "little") + bytes(4) + len(V).to_bytes(2, "little") + V + version
    found = [at for at in range(0, len(data), 2) if data[at:at + len(node)] == node]
    assert found
    for at in found:
        page = at - at % 4096

        def number(where):
            return int.from_bytes(data[where:where + 2], "little")
        offsets = range(page + 16, page + number(page + 12), 2)
        if u(data[page:page + 8][::-1]) * 4096 != page or at - page not in map(number, offsets):
            continue  # what a page was once
        upper = page + number(page + 14)
        data[upper + 4:at + len(node)] = data[upper:at] + (28).to_bytes(2, "little") + node[2:-32] + (1).to_bytes(
            4, "big") + node[-28:-4]
        for where in (page + 14, *offsets):
            if number(where) <= at - page:
                data[where:where + 2] = (number(where) + 4).to_bytes(2, "little")
    file.write_bytes(data)


def test_a_store_of_schema_1(i, tmp_path):
    word = "from before the first release"
    version, _ = values(i, tmp_path)
    i.run("backup", i.place / "b")
    for file in (i.dir / "store/data.mdb", i.place / "b/data.mdb"):
        to_schema_1(file, version)
    for args in (["domain", "list"], ["domain", "add", "b.example"], ["upgrade"], ["audit"], ["status"],
                 ["backup", i.place / "c"]):
        refused(i, *args, says=[word, "letterlock init", "IMAP"])
    p = run(i, "serve")
    assert p.returncode == 1 and word.encode() in p.stderr
    shutil.rmtree(i.dir / "store")
    p = run(i, "restore", i.place / "b")
    assert p.returncode == 1 and word.encode() in p.stderr.splitlines()[-1], p.stderr
    assert not (i.dir / "store").exists()
