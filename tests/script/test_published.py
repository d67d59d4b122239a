"""What others find: the directory of published certificates follows keys, aliases and wishes, a death in between is
made up, and its log is a chain that anybody can verify by docs/store-format.md."""
import hashlib
import json
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import key_tools  # noqa: E402
import store_format  # noqa: E402
from key_tools import ring  # noqa: E402,F401 (a fixture)

DOMAIN = harness.DOMAIN
PART = (2).to_bytes(8, "big")


@pytest.fixture(scope="module")
def i():
    with harness.Instance() as instance:
        instance.init()
        instance.serve()
        yield instance


def shown(i, address):
    return i.run("account", "show", address).stdout.decode()


def found(i, address):
    """{address: fingerprint} of what the account that has this address is found by."""
    return dict(re.findall(r"^  found    (\S+)  ([0-9A-F]+)  since", shown(i, address), re.M))


def log(i):
    return json.loads(i.run("key", "log", "--json").stdout)


def key_file(i, name, data):
    return key_tools.write(i.place / name, data)


def test_it_follows_keys_and_aliases(i, ring):  # noqa: F811
    ann, post = f"ann@{DOMAIN}", f"post@{DOMAIN}"
    first = ring.make(f"Ann <{ann}>")
    i.run("account", "add", ann, "--key", key_file(i, "first", ring.export(first)))
    assert found(i, ann) == {ann: first}
    # An alias that no user id has is not found; with a certificate that has it, it is.
    i.run("alias", "add", post, ann)
    assert found(i, ann) == {ann: first} and f"hidden   {post}:" in shown(i, ann)
    ring.unasked("--quick-add-uid", first, f"Post <{post}>")
    i.run("key", "add", ann, key_file(i, "renewed", ring.export(first)))
    assert found(i, ann) == {ann: first, post: first}
    # The newest current one, and after its end the other.
    second = ring.make(f"Ann <{ann}>")
    i.run("key", "add", ann, key_file(i, "second", ring.export(second)))
    assert found(i, ann) == {ann: second, post: first}
    i.run("key", "retire", ann, second)
    assert found(i, ann) == {ann: first, post: first}
    i.run("key", "current", ann, second)
    i.run("key", "revoke", ann, key_file(i, "revocation", ring.revocation(second)))
    assert found(i, ann) == {ann: first, post: first}
    # The last current one is revoked: whoever asks is told.
    i.run("key", "revoke", ann, key_file(i, "revocation", ring.revocation(first)))
    assert found(i, ann) == {ann: first, post: first} and shown(i, ann).count(", revoked") == 2
    i.run("alias", "remove", post)
    assert found(i, ann) == {ann: first}
    assert i.run("audit").returncode == 0
    i.run("account", "remove", ann)
    assert log(i)[-1]["certificate"] is None and log(i)[-1]["address"] == ann


def test_who_does_not_want_to_be_found_is_not(i, ring):  # noqa: F811
    bea = f"bea@{DOMAIN}"
    i.run("account", "add", bea, "--key", key_file(i, "bea", ring.export(ring.make(f"<{bea}>"))))
    before = len(log(i))
    i.run("account", "set", bea, "--publish", "no")
    assert found(i, bea) == {} and "publish  no" in shown(i, bea)
    i.run("key", "publish")
    i.run("key", "publish", bea)
    assert found(i, bea) == {}
    assert [(x["why"], x["certificate"]) for x in log(i)[before:]] == [("wish", None)]
    i.run("account", "set", bea, "--publish", "yes")
    assert list(found(i, bea)) == [bea]
    for wish in ("no", "yes"):  # who approves keys says nothing of it
        i.run("account", "set", bea, "--publish", wish)
        i.run("key", "approve", bea, "--yes")
        assert f"publish  {wish}" in shown(i, bea) and list(found(i, bea)) == [bea][:wish == "yes"]
    p = i.run("account", "set", bea, "--publish", "perhaps", check=False)
    assert p.returncode == 2 and b"--publish takes yes or no" in p.stderr


def test_the_log_is_a_chain(i):
    """By the page's words alone."""
    before = bytes(32)
    for n, x in enumerate(log(i), 1):
        assert x["number"] == n
        at = store_seconds(x["time"])
        why = ["key", "wish", "address", "mended", "verified"].index(x["why"]) + 1
        whom = hashlib.sha256(bytes.fromhex(x["salt"]) + x["address"].encode()).digest()
        cert = bytes.fromhex(x["certificate"]) if x["certificate"] else bytes(32)
        text = b"letterlock directory 1\0" + before + n.to_bytes(8, "big") + at.to_bytes(8, "big") + bytes([why])
        before = hashlib.sha256(text + whom + cert).digest()
        assert before.hex() == x["hash"]
    assert n > 3
    lines = i.run("key", "log").stdout.decode().splitlines()
    line = r"\d+  \S+  (key|wish|address|mended|verified) +\S+  (withdrawn|[0-9a-f]{64})$"
    assert len(lines) == n and all(re.match(line, x) for x in lines)


def store_seconds(text):
    p = subprocess.run(["date", "-u", "-d", text, "+%s"], capture_output=True, check=True, text=True)
    return int(p.stdout)


def z_base_32(digest):
    bits = int.from_bytes(digest, "big")
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[bits >> shift & 31] for shift in range(155, -1, -5))


def test_it_stands_as_written_down(i, tmp_path):
    """What WKD would ask for leads to the certificate, and to no word in the clear."""
    bea, hash16 = f"bea@{DOMAIN}", store_format.hash16
    target = tmp_path / "backup"
    i.run("backup", target)
    key, kv = store_format.store_key(i), store_format.dump(target / "data.mdb", "kv", tmp_path)
    use = store_format.USE["PUBLISHED"]
    whom = hash16(key, use, 2, bea.encode())
    place = hash16(key, use, 2, DOMAIN.encode(), z_base_32(hashlib.sha1(b"bea").digest()).encode())
    assert kv[PART + b"w" + place + whom] == b""
    entry = store_format.value_at(key, kv, PART + b"p" + whom)
    assert entry[0] == 1 and entry[14:14 + len(bea)] == bea.encode()
    entry = entry[14 + len(bea):]
    n, digest, cert = int.from_bytes(entry[:4], "big"), entry[4:36], entry[36:]
    assert len(cert) == min(n, 1500)
    cert += b"".join(store_format.value_at(key, kv, PART + b"c" + whom + k.to_bytes(4, "big"))
                     for k in range(-(-max(n - 1500, 0) // 3800)))
    assert hashlib.sha256(cert).digest() == digest and len(cert) == n
    assert bea.encode() not in (target / "data.mdb").read_bytes()
    assert log(i)[-1]["certificate"] == digest.hex()


# A death between a change and what is published


def killed(i, nth, *args):
    """The command, killed by strace as it sends its n-th message. LeakSanitizer cannot run under a tracer."""
    p = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                        f"inject=sendmsg:signal=SIGKILL:when={nth}", i.binary, *map(str, args)],
                       env=dict(i.env, ASAN_OPTIONS="detect_leaks=0"), capture_output=True, timeout=120)
    return p.returncode == 0


@pytest.mark.needs("strace")
def test_a_death_between_is_made_up(i, ring):  # noqa: F811
    missed = 0
    cal = f"cal@{DOMAIN}"
    first, second = ring.make(f"<{cal}>"), ring.make(f"<{cal}>")
    i.run("account", "add", cal, "--key", key_file(i, "cal", ring.export(first)))
    for nth in range(1, 20):
        done = killed(i, nth, "key", "add", cal, key_file(i, "cal2", ring.export(second)))
        current = f"{second}  current" in shown(i, cal)
        stale = current and found(i, cal) == {cal: first}
        if stale:
            missed += 1
            assert "what others find is not up to date" in shown(i, cal)
            assert b"another certificate is found than should be" in i.run("audit").stdout
            i.run("key", "publish")
            assert log(i)[-1]["why"] == "mended"
        assert found(i, cal) == {cal: second if current else first}
        assert i.run("audit").returncode == 0
        if current:
            i.run("key", "retire", cal, second)
            assert found(i, cal) == {cal: first}
        if done:
            break
    assert done and missed == 1


@pytest.mark.needs("strace")
def test_a_death_between_hides(i, ring):  # noqa: F811
    between = 0
    dan = f"dan@{DOMAIN}"
    i.run("account", "add", dan, "--key", key_file(i, "dan", ring.export(ring.make(f"<{dan}>"))))
    for nth in range(1, 20):
        done = killed(i, nth, "account", "set", dan, "--publish", "no")
        wish, hidden = "publish  no" in shown(i, dan), found(i, dan) == {}
        assert hidden or not wish  # never found against one's wish
        between += hidden and not wish
        i.run("key", "publish")
        assert (found(i, dan) == {}) == wish
        i.run("account", "set", dan, "--publish", "yes")
        if done:
            break
    assert done and wish and between == 1
