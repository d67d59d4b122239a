"""Certificates by name: DIR/tls/NAME.chain.pem beside NAME.key.pem, shown to who asks for that name (SNI)."""
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import harness
import pytest

pytestmark = pytest.mark.needs("openssl")

PORTS = {"smtp": "smtp", "submission": "smtp", "submissions": "", "imap": "imap", "imaps": "", "https": ""}
KINDS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


def make(i, name, *alternatives, kind="ec", days=30, key=None, chain=None):
    """A pair of files for that name, and what a client of it sees."""
    folder = i.dir / "tls"
    chain = chain or folder / f"{name}.chain.pem"
    key_file = key or folder / f"{name}.key.pem"
    names = ",".join(f"DNS:{n}" for n in alternatives or (name,))
    how = ["-key", key] if key else [*KINDS[kind], "-keyout", key_file]
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", str(days), "-subj", "/CN=x", "-addext",
                    f"subjectAltName={names}", *how, "-out", chain], check=True, capture_output=True)
    key_file.chmod(0o600)
    return der(chain)


def der(chain):
    return ssl.PEM_cert_to_DER_cert(re.search(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", chain.read_text(),
                                              re.S)[0])


def context(version=None):
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if version:
        c.minimum_version = c.maximum_version = version
    return c


def shown(i, service, name, version=None):
    """What one who asks for that name (None: for none) sees."""
    with socket.create_connection(("127.0.0.1", i.port(service)), timeout=60) as plain:
        lines = plain.makefile("rb")
        if PORTS[service] == "smtp":
            lines.readline()
            plain.sendall(b"EHLO c.example\r\n")
            while lines.readline()[3:4] != b" ":
                pass
            plain.sendall(b"STARTTLS\r\n")
            assert lines.readline().startswith(b"220")
        elif PORTS[service] == "imap":
            lines.readline()
            plain.sendall(b"a STARTTLS\r\n")
            assert b"a OK" in lines.readline()
        with context(version).wrap_socket(plain, server_hostname=name) as s:
            return s.getpeercert(True)


@pytest.fixture(scope="module")
def served():
    with harness.Instance(web=True) as i:
        i.init()
        i.a = make(i, "mta-sts.one.example", "mta-sts.one.example", "openpgpkey.one.example")
        i.b = make(i, "*.two.example", kind="rsa")
        i.c = make(i, "deep.two.example")
        i.own = der(i.dir / "tls/chain.pem")
        i.serve()
        yield i


@pytest.mark.parametrize("service", PORTS)
def test_each_listener_shows_the_names_certificate(served, service):
    i = served
    want = {"mta-sts.one.example": i.a, "openpgpkey.one.example": i.a, "MTA-STS.One.Example": i.a,
            "any.two.example": i.b, "deep.two.example": i.c, "two.example": i.own, "a.b.two.example": i.own,
            harness.DOMAIN: i.own, "unknown.example": i.own, None: i.own}
    for name, certificate in want.items():
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            assert shown(i, service, name, version) == certificate, (name, version)


def test_nothing_is_resumed_under_another_name(served):
    """A session that one name's certificate began cannot go on under another: nothing is resumed at all."""
    i = served
    c = context(ssl.TLSVersion.TLSv1_2)
    for name, certificate in {"mta-sts.one.example": i.a, "deep.two.example": i.c}.items():
        session = None
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", i.port("imaps")), timeout=60) as plain:
                with c.wrap_socket(plain, server_hostname=name, session=session) as s:
                    assert s.recv(4) and not s.session_reused and s.getpeercert(True) == certificate
                    assert not s.session.has_ticket
                    session = s.session if s.session.id else None


def test_certificates_are_listed(served):
    i = served
    listed = {c["name"]: c for c in i.status()["certificates"]}
    assert list(listed)[0] == harness.DOMAIN
    assert listed["mta-sts.one.example"]["others"] == "openpgpkey.one.example"
    ends = listed["*.two.example"]["expires"] - time.time()
    assert 29 * 86400 < ends < 31 * 86400
    assert re.search(r"certificate: mta-sts\.one\.example \(openpgpkey\.one\.example\)  until \d{4}-\d\d-\d\d\n",
                     i.run("status").stdout.decode())


def minds(i):
    return "\n".join(i.status()["mind"])


def test_reload(served):
    """New, changed, gone; what is broken keeps the one from before, by name, and stops nobody else's."""
    i = served
    folder = i.dir / "tls"
    one = make(i, "new.example")
    assert "there are other certificates in tls/" in minds(i)
    assert shown(i, "imaps", "new.example") == i.own
    i.run("reload")
    assert shown(i, "imaps", "new.example") == one and "there are other certificates" not in minds(i)
    for damage in "chain", "key":
        kept = (folder / f"new.example.{damage}.pem").read_text()
        (folder / f"new.example.{damage}.pem").write_text("nothing\n")
        other = make(i, f"besides-{damage}.example")
        out = i.run("reload")
        assert f"tls/new.example.{damage}.pem".encode() in out.stdout + out.stderr
        assert "the one from before is served" in minds(i)
        assert shown(i, "smtp", "new.example") == one and shown(i, "smtp", f"besides-{damage}.example") == other
        (folder / f"new.example.{damage}.pem").write_text(kept)
    (folder / "new.example.key.pem").unlink()
    i.run("reload")
    assert "tls/new.example.key.pem: No such file" in minds(i) and shown(i, "smtp", "new.example") == one
    two = make(i, "new.example")
    i.run("reload")
    assert shown(i, "imap", "new.example") == two and "from before" not in minds(i)
    (folder / "new.example.chain.pem").unlink()
    i.run("reload")
    for service in PORTS:  # the default is the default, whatever came and went beside it
        assert shown(i, service, "new.example") == shown(i, service, None) == i.own


def test_what_is_minded(served):
    i = served
    folder = i.dir / "tls"
    make(i, "ends.example", days=3)
    make(i, "named.example", "somebody-else.example")
    (folder / "ends.example.key.pem").chmod(0o644)
    shutil.copy(folder / "ends.example.chain.pem", folder / "Upper.example.chain.pem")
    said = i.run("reload").stdout.decode()
    said += minds(i)
    for text in ("the TLS certificate for ends.example expires on", "the TLS certificate for named.example has another",
                 "tls/ends.example.key.pem is open", "tls/Upper.example.chain.pem is left out"):
        assert text in said, text
    for f in "ends.example", "named.example", "Upper.example":
        (folder / f"{f}.chain.pem").unlink()
    i.run("reload")
    assert "ends.example" not in minds(i)


def test_no_handshake_fails_while_names_are_reloaded(served):
    i = served
    stop, wrong, done = threading.Event(), [], []

    def client(service, name):
        while not stop.is_set():
            try:
                shown(i, service, name)
                done.append(name)
            except OSError as e:
                wrong.append(e)

    threads = [threading.Thread(target=client, args=a) for a in (("imaps", "busy.example"), ("smtp", "busy.example"))]
    make(i, "busy.example")
    i.run("reload")
    for t in threads:
        t.start()
    last = None
    for _ in range(12):
        before = len(done)
        last = make(i, "busy.example")
        i.run("reload")
        while len(done) == before and not wrong:
            time.sleep(0.001)
    stop.set()
    for t in threads:
        t.join()
    assert not wrong and len(done) > 11 and shown(i, "imaps", "busy.example") == last


def test_a_broken_pair_does_not_stop_the_start():
    with harness.Instance() as i:
        i.init()
        good = make(i, "good.example")
        make(i, "bad.example")
        (i.dir / "tls/bad.example.key.pem").write_text((i.dir / "tls/good.example.key.pem").read_text())
        i.serve()
        assert i.logged(r"tls/bad\.example\.chain\.pem and tls/bad\.example\.key\.pem: the key does not belong to the "
                        r"first certificate of the chain; the default certificate is served in its place")
        assert shown(i, "imaps", "bad.example") == der(i.dir / "tls/chain.pem")
        assert shown(i, "imaps", "good.example") == good


@pytest.mark.parametrize("first", ["fits", "other"])
def test_of_two_keys_in_a_file_the_one_that_fits_counts(served, first):
    """While a key is exchanged its file has both, so that at each moment one fits the chain."""
    i = served
    certificate = make(i, "two.keys.example")
    key, other = i.dir / "tls/two.keys.example.key.pem", i.dir / "tls/mta-sts.one.example.key.pem"
    texts = [key.read_text(), other.read_text()]
    key.write_text("".join(texts if first == "fits" else reversed(texts)))
    i.run("reload")
    for service in "imaps", "https":
        assert shown(i, service, "two.keys.example") == certificate
    key.write_text(texts[1])
    assert b"the key does not belong to the first certificate" in i.run("reload").stderr
    (i.dir / "tls/two.keys.example.chain.pem").unlink()
    i.run("reload")


def test_a_file_with_the_servers_own_name_comes_before_the_default():
    """While default and name differ, who asks for no name sees the default."""
    with harness.Instance() as i:
        i.init()
        own = make(i, harness.DOMAIN)
        pattern = make(i, f"*.{harness.DOMAIN}")
        i.serve()
        assert shown(i, "imaps", harness.DOMAIN) == own and shown(i, "imaps", f"x.{harness.DOMAIN}") == pattern
        assert shown(i, "imaps", None) == der(i.dir / "tls/chain.pem")
        key = subprocess.run("openssl pkey -pubout -outform DER | openssl dgst -sha256 -r", shell=True, check=True,
                             stdin=open(i.dir / f"tls/{harness.DOMAIN}.key.pem"), capture_output=True).stdout.split()[0]
        assert b"TLSA 3 1 1 " + key in i.run("domain", "dns", harness.DOMAIN).stdout  # what senders are shown (SNI)
