"""Keys that sign mail from the server's domains, and the DNS records that a domain needs."""
import base64
import hashlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import any_instance, bare, certs, cold, fresh, harness, lines, live, refused, run  # noqa: E402,F401
import names  # noqa: E402

DOMAIN = harness.DOMAIN
DAY = 86400
NUMBERS = itertools.count(1)


def keys(i, *domain):
    return json.loads(i.run("dkim", "list", *domain, "--json").stdout)["keys"]


def state(i, domain):
    """{"rsa": ["in-use", ...], "ed": [...]}, the oldest first."""
    found = {"rsa": [], "ed": []}
    for k in keys(i, domain):
        found[k["selector"].rsplit("-", 1)[1]].append(k["state"])
    return found


def pair(*states):
    return {"rsa": list(states), "ed": list(states)}


@pytest.fixture
def domain(any_instance):
    name = f"d{next(NUMBERS)}.example"
    any_instance.run("domain", "add", name)
    return name


def test_each_domain_has_two(any_instance, domain):
    i = any_instance
    own = keys(i, DOMAIN)
    assert [k["algorithm"] for k in own] == ["rsa-sha256", "ed25519-sha256"]
    both = own + keys(i, domain)
    assert {k["state"] for k in both} == {"in-use"} and {k["until"] for k in both} == {None}
    assert len({k["txt"] for k in both}) == 4
    for k in both:
        assert re.fullmatch(r"ll-20\d{4}-(rsa|ed)", k["selector"])
        assert k["name"] == f"{k['selector']}._domainkey.{k['domain']}" and k["made"] == k["used_from"]
    assert [x for x in lines(i, "dkim", "list") if x.split()[0] == domain] == lines(i, "dkim", "list", domain)
    text = i.run("dkim", "show", domain).stdout.decode()
    for k in keys(i, domain):
        assert f"{k['name']}.  IN TXT (" in text and f"; {k['selector']} signs since {k['used_from']}" in text
        assert k["txt"] in "".join(re.findall('"(.*?)"', text))
    refused(i, "dkim", "show", "elsewhere.example", says="no keys that sign")
    refused(i, "dkim", "rotate", "elsewhere.example", says=["not one of this server's domains", "domain add"])


def test_the_next_ones_wait_and_take_over(any_instance, domain):
    i = any_instance
    first = keys(i, domain)
    text = i.run("dkim", "rotate", domain).stdout.decode()
    assert state(i, domain) == pair("in-use", "published") and text.count("IN TXT") == 4
    old, new = ([k for k in keys(i, domain) if k["state"] == s] for s in ("in-use", "published"))
    assert [k["txt"] for k in old] == [k["txt"] for k in first]
    assert [k["until"] for k in old] == [k["used_from"] for k in new]
    assert len({k["selector"] for k in old + new}) == 4
    again = keys(i, domain)
    i.run("dkim", "rotate", domain)  # they wait already
    assert keys(i, domain) == again
    i.run("dkim", "rotate", domain, "--now")
    assert state(i, domain) == pair("retired", "in-use") and {k["txt"] for k in keys(i, domain)} == {
        k["txt"] for k in again}
    i.run("dkim", "rotate", domain, "--now")
    assert state(i, domain) == pair("retired", "retired", "in-use")
    assert len({k["selector"] for k in keys(i, domain)}) == 6


def at(i, seconds, *args):
    """The command as it runs then; a server that serves keeps its own time."""
    env = dict(i.env, FAKETIME_DONT_FAKE_MONOTONIC="1")
    if "libasan" in subprocess.run(["ldd", i.binary], capture_output=True, text=True).stdout:
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    p = subprocess.run(["faketime", "-f", f"+{seconds}s", i.binary, *args], env=env, capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return p.stdout.decode()


@pytest.mark.needs("faketime")
def test_time_alone_changes_which_key_signs(live):
    name = "time.example"
    live.run("domain", "add", name)
    live.run("dkim", "rotate", name)

    def states(seconds):
        found = json.loads(at(live, seconds, "dkim", "list", name, "--json"))["keys"]
        return [k["state"] for k in found if k["algorithm"] == "rsa-sha256"]

    assert states(3 * DAY - 60) == ["in-use", "published"]
    assert states(3 * DAY + 60) == ["retired", "in-use"]
    assert states(10 * DAY - 60) == ["retired", "in-use"]
    assert states(10 * DAY + 60) == ["over", "in-use"]
    assert at(live, 10 * DAY + 60, "dkim", "show", name).count("IN TXT") == 2
    old = [k["txt"] for k in keys(live, name) if k["state"] == "in-use"]
    at(live, 11 * DAY, "dkim", "rotate", name)  # erases what is over
    assert len(keys(live, name)) == 4 and not {k["txt"] for k in keys(live, name)} & set(old)
    assert len({k["selector"] for k in keys(live, name)}) == 4
    live.run("domain", "remove", name)


def test_with_the_domain_go_its_keys(any_instance, domain):
    i = any_instance
    i.run("dkim", "rotate", domain)
    i.run("domain", "remove", domain)
    assert not [k for k in keys(i) if k["domain"] == domain]
    refused(i, "domain", "remove", domain, says="no such domain")
    assert keys(i, DOMAIN)


def test_a_domain_that_stays_keeps_its_keys(any_instance):
    before = keys(any_instance, DOMAIN)
    refused(any_instance, "domain", "remove", DOMAIN, says="addresses in it")
    assert keys(any_instance, DOMAIN) == before


def test_neither_half_stands_in_the_store(cold):
    """The private half of an RSA key has the public one in it."""
    store = (cold.dir / "store" / "data.mdb").read_bytes()
    for k in keys(cold):
        public = base64.b64decode(k["txt"].split("p=")[1])
        assert public[40:100] or k["algorithm"] == "ed25519-sha256"
        assert (public[40:100] or public) not in store and k["selector"].encode() not in store
    assert b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82" not in store  # of PKCS #8


def test_with_another_queue_key(fresh):
    i = fresh
    assert run(i, "init", "--domain", "a.example", "--loopback", i.base).returncode == 0
    (i.dir / "queue.key").unlink()
    i.run("store-key", "new-queue")
    assert json.loads(i.run("dkim", "list", "--json").stdout) == {"keys": [], "unreadable": 2}
    assert b"2 keys do not open" in run(i, "dkim", "list").stderr
    i.run("dkim", "rotate", "a.example")
    assert state(i, "a.example") == pair("in-use") and run(i, "dkim", "list").stderr == b""


# Cut short


def kill_at(i, n, *args):
    """The command, killed by strace as it sends its n-th message. LeakSanitizer cannot run under a tracer."""
    return subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                           f"inject=sendmsg:signal=SIGKILL:when={n}", i.binary, *args],
                          env=dict(i.env, ASAN_OPTIONS="detect_leaks=0"), capture_output=True, timeout=60)


def until_it_ends(i, *args):
    for n in range(1, 30):
        yield n, kill_at(i, n, *args).returncode == 0


@pytest.mark.needs("strace")
def test_domain_add_cut_short(live):
    """Crash state 53."""
    seen = set()
    for n, done in until_it_ends(live, "domain", "add", "cut.example"):
        if "cut.example" in lines(live, "domain", "list"):
            seen.add(len(keys(live, "cut.example")) if run(live, "dkim", "show", "cut.example").returncode == 0 else 0)
            live.run("dkim", "rotate", "cut.example")
            found = state(live, "cut.example")
            assert found["rsa"][0] == found["ed"][0] == "in-use" and len(keys(live, "cut.example")) <= 4
            live.run("domain", "remove", "cut.example")
        if done:
            break
    assert done and seen == {0, 1, 2}


@pytest.mark.needs("strace")
def test_rotate_cut_short(live):
    """Crash state 54."""
    seen = set()
    live.run("domain", "add", "turn.example")
    for n, done in until_it_ends(live, "dkim", "rotate", "turn.example"):
        seen.add(len(keys(live, "turn.example")))
        live.run("dkim", "rotate", "turn.example")
        assert state(live, "turn.example") == pair("in-use", "published"), n
        live.run("domain", "remove", "turn.example")
        if done:
            break
        live.run("domain", "add", "turn.example")
    assert done and seen == {2, 3, 4}


@pytest.mark.needs("strace")
def test_domain_remove_cut_short(live):
    """Crash state 55."""
    seen = set()
    for n in range(1, 30):
        if "gone.example" not in lines(live, "domain", "list"):
            live.run("domain", "add", "gone.example")
        done = kill_at(live, n, "domain", "remove", "gone.example").returncode == 0
        left = [k for k in keys(live) if k["domain"] == "gone.example"]
        if "gone.example" not in lines(live, "domain", "list"):
            seen.add(len(left))
            if left:
                live.run("domain", "remove", "gone.example")
        assert len([k for k in keys(live) if k["domain"] == "gone.example"]) in (0, 2)
        if done:
            break
    assert done and seen == {0, 1, 2}


# The zone file


@pytest.fixture
def zone(cold):
    """What `domain dns` says of a domain and of the server's own name, which is below it."""
    cold.run("domain", "add", "bücher.example")
    yield cold.run("domain", "dns", "BÜCHER.example").stdout.decode()
    cold.run("domain", "remove", "bücher.example")


def records(text):
    """[(name, type, data)], strings joined as DNS joins them."""
    plain = re.sub(r"^;.*\n", "", text, flags=re.M).replace('"\n    "', "").replace("(\n    ", "").replace(" )\n", "\n")
    return [re.fullmatch(r"(\S+)  IN (\S+) (.+)", x).groups() for x in plain.splitlines() if x]


@pytest.mark.needs("nsd-checkzone")
def test_a_zone_that_a_name_server_takes(cold, zone, tmp_path):
    for name, text in (("xn--bcher-kva.example", zone), (DOMAIN, cold.run("domain", "dns", DOMAIN).stdout.decode())):
        file = tmp_path / "zone"
        file.write_text(names.HEAD.format(zone=name, ttl=300, serial=1) + text)
        p = subprocess.run(["nsd-checkzone", name, file], capture_output=True, text=True,
                           env={**os.environ, "PATH": names.PATH})
        assert p.returncode == 0 and "is ok" in p.stdout and p.stderr == "", p.stdout + p.stderr
        assert len(records(text)) == (9 if text is zone else 10)


def test_what_is_in_the_zone(cold, zone, tmp_path):
    name = "xn--bcher-kva.example."
    found = records(zone)
    assert (name, "MX", f"10 {DOMAIN}.") in found
    assert [d for n, t, d in found if n == name and t == "TXT"] == ['"v=spf1 mx ~all"']
    assert [d for n, t, d in found if n == "_dmarc." + name] == [
        f'"v=DMARC1; p=quarantine; rua=mailto:dmarc-reports@{name[:-1]}"']
    assert ("_submissions._tcp." + name, "SRV", f"0 1 465 {DOMAIN}.") in found
    assert ("_imaps._tcp." + name, "SRV", f"0 1 993 {DOMAIN}.") in found
    assert {(n, d.strip('"')) for n, t, d in found if "_domainkey" in n} == {
        (k["name"] + ".", k["txt"]) for k in keys(cold, name[:-1])}
    assert f"letterlock domain dns {DOMAIN}" in zone
    # Of the server's own name: the key of its certificate
    own = records(cold.run("domain", "dns", DOMAIN).stdout.decode())
    pem = subprocess.run(["openssl", "x509", "-in", cold.dir / "tls/chain.pem", "-noout", "-pubkey"],
                         capture_output=True, check=True).stdout.decode()
    public = hashlib.sha256(base64.b64decode("".join(pem.splitlines()[1:-1]))).hexdigest()
    assert [(n, d) for n, t, d in own if t == "TLSA"] == [(f"_25._tcp.{DOMAIN}.", f"3 1 1 {public}")]
    assert not [n for n, t, d in own if t == "CAA"]  # nobody issued it
    assert "goes out by" not in zone
    refused(cold, "domain", "dns", "elsewhere.example", says=["not one of this server's domains", "domain add"])


def test_who_issued_the_certificate(fresh):
    i = fresh
    assert run(i, "init", "--domain", "mx.example", "--loopback", i.base).returncode == 0
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "90", "-subj", "/C=US/O=Let's Encrypt/CN=R11", "-keyout", i.dir / "tls/key.pem", "-out",
                    i.dir / "tls/chain.pem"], check=True, capture_output=True)
    assert ("mx.example.", "CAA", '0 issue "letsencrypt.org"') in records(
        i.run("domain", "dns", "mx.example").stdout.decode())
    i.configure(smarthost="out.example")
    assert "; Mail goes out by out.example: its operator" in i.run("domain", "dns", "mx.example").stdout.decode()
    (i.dir / "tls/chain.pem").write_text("no certificate\n")
    p = run(i, "domain", "dns", "mx.example")
    assert p.returncode == 0 and b"cannot be read" in p.stderr and not [x for x in records(p.stdout.decode())
                                                                        if x[1] in ("CAA", "TLSA")]
