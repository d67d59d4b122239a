"""letterlock acme: certificates from pebble, Let's Encrypt's ACME server for tests, by uacme. Names are NSD's."""
import re
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import harness
import pytest
from acme import HOST, NEEDS, SERVED, ZONE, acme, key_of, own_key, serving, shown

pytestmark = pytest.mark.needs(*NEEDS)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("acme")) as i:
        yield i


def test_certificates_are_got(served):
    i = served
    before = own_key(i)
    p = acme(i)
    for name in SERVED:
        assert f"{name}: a certificate until" in p.stdout
        shown(i, name)
    assert f"autoconfig.{HOST}: leads elsewhere, or nowhere: left out" in p.stdout  # not the server's address
    assert "mta-sts.second.test: leads elsewhere" in p.stdout
    assert own_key(i) == before == key_of(shown(i, HOST))  # what TLSA may name already
    keys = [i.dir / "tls/key.pem", *(i.dir / f"tls/{n}.key.pem" for n in SERVED[1:])]
    assert {k.stat().st_mode & 0o777 for k in keys} == {0o600}
    assert (i.dir / "acme").stat().st_mode & 0o777 == 0o700
    assert not list((i.dir / "tls").glob("*.next")) and not list((i.dir / "acme").glob("*.csr"))
    for key in keys:  # uacme never had them
        secret = key.read_bytes().splitlines()[1]
        assert not any(secret in f.read_bytes() for f in (i.dir / "acme").rglob("*") if f.is_file())
    listed = {c["name"] for c in i.status()["certificates"]}
    assert listed == set(SERVED)


def test_nothing_is_asked_before_it_is_due(served):
    acme(served)
    orders = served.pebble.log.read_text().count("/order-plz")
    p = acme(served)
    assert all(f"{name}: good until" in p.stdout for name in SERVED)
    assert served.pebble.log.read_text().count("/order-plz") == orders


def test_renewed_under_load(served):
    """The key stays, the certificate is another, and no handshake fails meanwhile."""
    i = served
    acme(i)
    before = {name: shown(i, name) for name in SERVED}
    stop, wrong, done = threading.Event(), [], []

    def client(name, service):
        while not stop.is_set():
            try:
                done.append(shown(i, name, service))
            except OSError as e:
                wrong.append((name, service, e))

    threads = [threading.Thread(target=client, args=a) for a in zip(SERVED, ("imaps", "https", "submissions", "https"))]
    for t in threads:
        t.start()
    acme(i, "--now")
    stop.set()
    for t in threads:
        t.join()
    assert not wrong and len(done) >= len(SERVED)
    for name in SERVED:
        after = shown(i, name)
        assert after != before[name] and key_of(after) == key_of(before[name])


def test_one_that_is_refused_stops_no_other(served):
    """Nobody answers for it, since port 80 of its address is nobody's."""
    i = served
    i.names.change("test", ZONE.replace("second A 127.0.0.1", "second A 127.0.0.1\nsecond A 127.0.0.9"))
    try:
        p = acme(i, "nobody.second.test", HOST, "--now", check=False)
        assert p.returncode == 1 and "nobody.second.test has no address of this server's that DNS tells" in p.stderr
        assert f"{HOST}: a certificate until" in p.stdout
        shown(i, HOST)
    finally:
        i.names.change("test", ZONE)


def test_another_key_waits_until_dns_names_it(served):
    i = served
    acme(i)
    tlsa = "_25._tcp.letterlock TLSA 3 1 1 "
    before = own_key(i)
    i.names.change("test", ZONE + tlsa + before + "\n")
    p = acme(i, HOST, "--exchange-key", check=False)
    assert p.returncode == 1 and "waits until DNS names it" in p.stderr
    following = re.search(rf"_25\._tcp\.{re.escape(HOST)}\. \d+ IN TLSA 3 1 1 ([0-9a-f]{{64}})\n", p.stdout)[1]
    assert following != before and key_of(shown(i, HOST)) == before
    again = acme(i, HOST, "--exchange-key", check=False)
    assert following in again.stdout and key_of(shown(i, HOST)) == before  # the same key
    i.names.change("test", f"{ZONE}{tlsa}{before}\n{tlsa}{following}\n")
    p = acme(i, HOST, "--exchange-key", check=False)
    assert "others may know the answer without it" in p.stderr
    i.names.change("test", ZONE + tlsa + before + "\n")  # it goes again: what was waited does not count
    while "waits until DNS names it" not in (p := acme(i, HOST, "--exchange-key", check=False)).stderr:
        assert key_of(shown(i, HOST)) == before and "others may know" in p.stderr
    assert not list((i.dir / "acme").glob("*.seen"))
    i.names.change("test", f"{ZONE}{tlsa}{before}\n{tlsa}{following}\n")
    end, waited = time.monotonic() + 120, 0
    while (p := acme(i, HOST, "--exchange-key", check=False)).returncode:
        assert "others may know the answer without it" in p.stderr and time.monotonic() < end, p.stderr
        assert key_of(shown(i, HOST)) == before
        time.sleep(0.2)
        waited += 1
    assert waited  # a TTL's time, though the record was there at once
    assert key_of(shown(i, HOST)) == following == own_key(i)
    assert (i.dir / "tls/key.pem").read_text().count("PRIVATE KEY") == 2  # one, with its begin and end
    i.names.change("test", ZONE)


def test_where_dns_names_no_key_another_is_taken_at_once(served):
    i = served
    acme(i)
    before = key_of(shown(i, SERVED[1]))
    acme(i, SERVED[1], "--exchange-key")
    assert key_of(shown(i, SERVED[1])) != before


def test_a_token_may_begin_with_a_hyphen(served):
    """It is base64url, and no option: of uacme's hook, and of ours by itself."""
    i = served
    token = "-" + "a" * 42
    text = f"{token}.{'h' * 43}"
    at = f"http://127.0.0.1:{i.port('http')}/.well-known/acme-challenge/{token}"

    def asked(host):
        try:
            request = urllib.request.Request(at, headers={"Host": host})
            return urllib.request.urlopen(request, timeout=60).read().decode()
        except urllib.error.HTTPError as e:
            return e.code

    hook = [i.dir / "acme/hook"]
    acme(i)
    for event, answer in (("begin", text), ("done", 404), ("begin", text), ("failed", 404), ("done", 404)):
        subprocess.run([*hook, event, "http-01", "second.test", token, text], env=i.env, check=True)
        deadline = time.monotonic() + 60
        while asked("second.test") != answer and time.monotonic() < deadline:  # it goes from process to process
            time.sleep(0.01)
        assert asked("second.test") == answer and asked(HOST) == 404
    for words in (["begin", "dns-01", "second.test", token, text], ["begin", "http-01", "second.test", token, "x"],
                  ["begin", "http-01", "../x", token, text], ["begin", "http-01", "second.test", "short", "short.x"]):
        assert subprocess.run([*hook, *words], env=i.env, capture_output=True).returncode == 1
    p = subprocess.run([*hook, "other", "http-01", "second.test", token, text], env=i.env, capture_output=True)
    assert p.returncode == 2


def test_what_is_said_when_it_cannot_be_done(served):
    i = served
    p = acme(i, "not a name", check=False)
    assert p.returncode == 1 and "is not a host name" in p.stderr
    p = acme(i, HOST, "--now", "--server", f"https://localhost:{i.names.base + 101}/roots/0", check=False)
    assert p.returncode == 1 and "the ACME server gives no account: uacme: " in p.stderr
    p = subprocess.run([i.binary, "acme", "run", HOST, "--now"], env={**i.env, "PATH": "/nowhere"},
                       capture_output=True, text=True, timeout=300)
    assert p.returncode == 1 and "uacme is not installed" in p.stderr
    with harness.Instance() as cold:
        cold.init()
        assert "no server runs on" in cold.run("acme", "run", check=False).stderr.decode()
