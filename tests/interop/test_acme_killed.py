"""letterlock acme run, killed before each step that changes something, and run again: at every moment the files have a
pair that fits, no key is lost, and what is served has a key that DNS names."""
import re
import shutil
import signal
import subprocess
import time

import pytest
from acme import HOST, NEEDS, ZONE, acme, key_of, own_key, serving, shown

pytestmark = pytest.mark.needs("strace", *NEEDS)
NEW = "second.test"
CALLS = "rename,unlink,connect"
WAIT = 120


def tlsa(*keys):
    return ZONE + "".join(f"_25._tcp.letterlock TLSA 3 1 1 {k}\n" for k in keys)


def keys_of(path):
    """The hashes of a file's keys."""
    text = path.read_text() if path.exists() else ""
    found = re.findall(r"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\n", text, re.S)
    return [subprocess.run("openssl pkey -pubout -outform DER | openssl dgst -sha256 -r", shell=True, check=True,
                           input=k.encode(), capture_output=True).stdout.split()[0].decode() for k in found]


def steps(log):
    """(call, which one of its kind) of what changed something of ours; the last one has it served."""
    seen, found = {}, []
    for line in log.read_text().splitlines():
        call = line.split("(")[0]
        seen[call] = seen.get(call, 0) + 1
        if call in ("rename", "unlink") and line.endswith(" = 0") and not re.search(r"/(hook|[^/]*\.csr)\b", line):
            found.append((call, seen[call]))
    return [*found, ("connect", seen["connect"])]


def killed(i, call, number, *args):
    """Before it does that."""
    p = acme(i, *args, check=False,
             wrapper=["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                      f"inject={call}:signal=KILL:when={number}"])
    assert p.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), (call, number, p.stdout, p.stderr)


class Files:
    """What `acme run` writes, to be put back."""

    def __init__(self, i, place):
        self.i, self.place = i, place
        for name in "tls", "acme":
            shutil.copytree(i.dir / name, place / name)

    def put_back(self):
        for name in "tls", "acme":
            shutil.rmtree(self.i.dir / name)
            shutil.copytree(self.place / name, self.i.dir / name)
        self.i.run("reload")


def left_over(i, name):
    return [f.name for d in ("tls", "acme") for f in (i.dir / d).iterdir()
            if f.name.startswith((name, "key.pem", "chain.pem", "late", "hook"))
            and f.name.endswith((".next", ".new", ".next.pem", ".seen", ".csr", "-cert.pem", "late"))]


def until_shown(i, key):
    """By both libraries of TLS."""
    end = time.monotonic() + WAIT
    for service in "imaps", "https":
        while key_of(shown(i, HOST, service)) != key and time.monotonic() < end:
            time.sleep(0.05)
        assert key_of(shown(i, HOST, service)) == key


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("acme")) as i:
        acme(i, HOST)
        yield i


@pytest.fixture(scope="module")
def exchange(served, tmp_path_factory):
    """A next key whose record is there and was waited for; the steps of the run that takes it."""
    i = served
    before = own_key(i)
    i.names.change("test", tlsa(before))
    killed(i, "rename", 1, HOST, "--exchange-key")  # the next key has not its name yet
    assert not keys_of(i.dir / f"acme/{HOST}.next.pem")
    p = acme(i, HOST, "--exchange-key", check=False)
    following = re.search(r"TLSA 3 1 1 ([0-9a-f]{64})", p.stdout)[1]
    killed(i, "unlink", 3, HOST, "--exchange-key")  # it is not told again
    assert keys_of(i.dir / f"acme/{HOST}.next.pem") == [following]
    i.names.change("test", tlsa(before, following))
    end = time.monotonic() + WAIT
    while "others may know" not in acme(i, HOST, "--exchange-key", check=False).stderr:
        assert time.monotonic() < end
    seen = i.dir / f"acme/{HOST}.seen"
    ready = Files(i, tmp_path_factory.mktemp("ready"))
    while time.time() < seen.stat().st_mtime + 2:
        time.sleep(0.1)
    log = tmp_path_factory.mktemp("trace") / "calls"
    p = acme(i, HOST, "--exchange-key", wrapper=["strace", "-qq", "-o", log, "-e", f"trace={CALLS}"])
    assert "for the next key" in p.stdout and "may go" in p.stdout and own_key(i) == following
    assert not left_over(i, HOST)
    return before, following, ready, steps(log)


def test_an_exchange(served, exchange):
    i, (before, following, ready, calls) = served, exchange
    assert len(calls) >= 8, calls
    ended = set()
    for call, number in calls:
        ready.put_back()
        killed(i, call, number, HOST, "--exchange-key")
        where = (call, number)
        kept = keys_of(i.dir / "tls/key.pem"), keys_of(i.dir / f"acme/{HOST}.next.pem")
        assert own_key(i) in kept[0] and following in kept[0] + kept[1] and len(kept[0]) <= 2, (where, kept)
        i.run("reload")  # or a start: the pair that is there fits
        until_shown(i, own_key(i))
        p = acme(i, HOST)  # as the timer has it done
        if own_key(i) == before:
            p = acme(i, HOST, "--exchange-key")
        ended.add("cut short" in p.stdout)
        assert keys_of(i.dir / "tls/key.pem") == [following] == [own_key(i)], where
        until_shown(i, following)
        assert not left_over(i, HOST), where
    assert ended == {True, False}


def test_what_was_not_served_yet(served, exchange):
    """Killed before the server was told: the next run tells it, though no certificate is due."""
    i, (before, following, ready, calls) = served, exchange
    ready.put_back()
    killed(i, *calls[-1], HOST, "--exchange-key")
    assert own_key(i) == following and key_of(shown(i, HOST)) == before
    assert "good until" in acme(i, HOST).stdout
    until_shown(i, following)
    assert not left_over(i, HOST)


def test_an_exchange_that_is_given_up(served, exchange):
    """However often it was cut short before the chain was there: the key in use stays, and stands there once."""
    i, (before, following, ready, calls) = served, exchange
    ready.put_back()
    at = [c for c in calls if c[0] == "rename"][1]  # the chain's: both keys are there
    for _ in range(3):
        killed(i, *at, HOST, "--exchange-key")
        assert keys_of(i.dir / "tls/key.pem") == [following, before]
    i.names.change("test", tlsa(before))
    acme(i, HOST, "--now")
    assert own_key(i) == before
    until_shown(i, before)
    i.names.change("test", tlsa(before, following))
    acme(i, HOST, "--exchange-key")
    until_shown(i, following)
    assert not left_over(i, HOST)


def test_a_new_name(served, tmp_path):
    i = served
    log = tmp_path / "calls"
    files = Files(i, tmp_path)
    acme(i, NEW, wrapper=["strace", "-qq", "-o", log, "-e", f"trace={CALLS}"])
    for call, number in steps(log):
        files.put_back()
        killed(i, call, number, NEW)
        made = keys_of(i.dir / f"tls/{NEW}.key.pem")
        i.run("reload")
        acme(i, NEW)
        assert not made or keys_of(i.dir / f"tls/{NEW}.key.pem") == made, (call, number)
        assert key_of(shown(i, NEW)) == keys_of(i.dir / f"tls/{NEW}.key.pem")[0]
        assert not left_over(i, NEW), (call, number)


def test_uacme_lives_on(served):
    """Killed while uacme waits for the ACME server; another run begins beside it."""
    i = served
    before = i.pebble.log.read_text().count("/order-plz")
    script = 'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec "$@"'
    first = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", i.pebble.ca, i.binary, "acme", "run",
                              "--server", i.pebble.url, HOST, "--now"], env=i.env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    end = time.monotonic() + WAIT
    while i.pebble.log.read_text().count("/order-plz") == before and time.monotonic() < end:
        time.sleep(0.005)
    beside = acme(i, HOST, "--now", check=False)
    first.kill()
    first.wait()
    assert beside.returncode == 0 or "another letterlock acme run is at work" in beside.stderr
    acme(i, HOST, "--now")
    until_shown(i, own_key(i))
    assert not left_over(i, HOST)
