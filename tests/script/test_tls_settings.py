"""What TLS is offered, who can use it, and how it ends: with what openssl and Python can be told to do."""
import re
import socket
import ssl
import subprocess
import time

import harness
import pytest

pytestmark = pytest.mark.needs("openssl")

OP_IGNORE_UNEXPECTED_EOF = 1 << 7  # of OpenSSL 3; Python sets it, and names it from 3.12 on

AEAD = ["AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305"]
CBC = ["AES256-SHA", "AES128-SHA", "AES128-SHA256", "AES256-SHA384"]
NEVER = [
    "AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES128-SHA", "AES256-SHA",  # static RSA
    "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-SHA",
    "ECDHE-RSA-NULL-SHA", "AECDH-AES128-SHA", "ADH-AES128-SHA",
]
PORTS = {"smtp": ["-starttls", "smtp"], "imap": ["-starttls", "imap"], "imaps": []}
KINDS = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}


@pytest.fixture(scope="module", params=KINDS)
def served(request):
    with harness.Instance() as i:
        i.init()
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", f"/CN={harness.DOMAIN}", "-newkey",
             *KINDS[request.param], "-keyout", i.dir / "tls/key.pem", "-out", i.dir / "tls/chain.pem"],
            check=True, capture_output=True)
        i.serve()
        i.kind = request.param
        yield i


def connect(instance, service, *options, say=b"", greeted=b""):
    """What s_client printed; it says something once it was greeted. The lowest level of security, so that it is the
    server that refuses."""
    at = f"127.0.0.1:{instance.port(service)}"
    args = ["openssl", "s_client", "-connect", at, *PORTS[service], *options]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        seen = b""
        while greeted not in seen and (line := p.stdout.readline()):
            seen += line
        out, err = p.communicate(say, timeout=60)
    return subprocess.CompletedProcess(args, p.returncode, seen + out, err)


def cipher_got(instance, service, cipher):
    out = connect(instance, service, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    used = re.search(rb"Cipher is (\S+)", out.stdout)
    return used.group(1).decode() if used and used.group(1) != b"(NONE)" else None


def counted(instance, name):
    return sum(r["counters"].get(name, 0) for r in instance.status()["roles"])


@pytest.mark.parametrize("service", PORTS)
def test_ciphers(served, service):
    ours = {"rsa": "RSA", "ecdsa": "ECDSA"}[served.kind]
    before = counted(served, "tls_failed_cipher") + counted(served, "imap_tls_failed_cipher")
    for cipher in AEAD:
        assert cipher_got(served, service, f"ECDHE-{ours}-{cipher}") == f"ECDHE-{ours}-{cipher}"
    for cipher in CBC:  # old senders are let in rather than left in the clear; readers never use it
        expected = f"ECDHE-{ours}-{cipher}" if service == "smtp" else None
        assert cipher_got(served, service, f"ECDHE-{ours}-{cipher}") == expected, cipher
    refused = 0 if service == "smtp" else len(CBC)
    for cipher in NEVER:
        assert cipher_got(served, service, cipher) is None, cipher
        refused += 1
    after = counted(served, "tls_failed_cipher") + counted(served, "imap_tls_failed_cipher")
    assert after - before == refused


@pytest.mark.parametrize("service", PORTS)
def test_order_is_ours(served, service):
    """Whatever the client would rather have."""
    got = cipher_got(served, service, "AES128-SHA:DHE:ECDHE+AES+SHA1:ECDHE+AES+SHA256:ECDHE+AESGCM")
    assert got and got.endswith("-AES256-GCM-SHA384")


@pytest.mark.parametrize("service", PORTS)
def test_versions(served, service):
    for option, version in {"-tls1_2": b"TLSv1.2", "-tls1_3": b"TLSv1.3"}.items():
        assert b"New, TLSv1." in (out := connect(served, service, option)).stdout and version in out.stdout
    prefix = "" if service == "smtp" else "imap_"
    before = counted(served, prefix + "tls_failed_version")
    for option in ["-tls1", "-tls1_1"]:
        out = connect(served, service, option, "-cipher", "ALL:@SECLEVEL=0")
        assert b"Cipher is (NONE)" in out.stdout
    assert counted(served, prefix + "tls_failed_version") - before == 2


@pytest.mark.parametrize("service", PORTS)
def test_no_renegotiation_compression_or_resumption(served, service):
    bye = {"smtp": b"QUIT\r\n"}.get(service, b"a LOGOUT\r\n")
    greeting = b"* OK" if service == "imaps" else b""  # which would come in the middle of the handshake
    out = connect(served, service, "-tls1_2", "-legacy_renegotiation", say=b"R\n" + bye, greeted=greeting)
    assert b"RENEGOTIATING" in out.stderr
    assert b"no renegotiation" in out.stderr
    out = connect(served, service, "-tls1_2", "-comp", "-cipher", "ALL:@SECLEVEL=0")
    assert b"Compression: NONE" in out.stdout
    for version in ["-tls1_2", "-tls1_3"]:
        out = connect(served, service, version, say=b"Q\n" if service == "smtp" else b"a NOOP\r\n")
        assert b"session ticket" not in out.stdout
    if service == "imaps":
        out = connect(served, service, "-tls1_2", "-reconnect")
        assert out.stdout.count(b"New, TLSv1.2") == 6 and b"Reused" not in out.stdout


def context(*protocols):
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if protocols:
        c.set_alpn_protocols(protocols)
    return c


def plain(instance, service):
    """A connection where TLS begins next."""
    s = socket.create_connection(("127.0.0.1", instance.port(service)), timeout=30)
    s.settimeout(30)
    if service == "smtp":
        for line in [None, b"EHLO c.example\r\n", b"STARTTLS\r\n"]:
            if line:
                s.sendall(line)
            s.recv(4096)
    elif service == "imap":
        s.recv(4096)
        s.sendall(b"a STARTTLS\r\n")
        assert b"a OK" in s.recv(4096)
    return s


@pytest.mark.parametrize("service", PORTS)
def test_alpn(served, service):
    """Who wants to speak something else was brought here by somebody else (RFC 7301 section 3.2, ALPACA)."""
    own = service.removesuffix("s")
    prefix = "" if service == "smtp" else "imap_"
    before = counted(served, prefix + "tls_failed_alpn")
    for protocols in [(), (own,), ("h2", own)] + [("esmtp",)] * (own == "smtp"):
        with context(*protocols).wrap_socket(plain(served, service)) as s:
            assert s.selected_alpn_protocol() == (protocols[-1] if protocols else None)
            s.sendall(b"a NOOP\r\n")
            assert s.recv(100)
    for protocols in [("h2", "http/1.1"), ("http/1.1",), ("ftp",), ("smt",), ("smtpx",), ("IMAP",)]:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            context(*protocols).wrap_socket(plain(served, service))
    assert counted(served, prefix + "tls_failed_alpn") - before == 6


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("service", PORTS)
def test_close_notify_is_answered(served, service, version):
    """unwrap() waits for the server's, and fails without."""
    c = context()
    c.options &= ~OP_IGNORE_UNEXPECTED_EOF
    c.minimum_version = c.maximum_version = version
    for words in [b"", b"NOOP\r\n" if service == "smtp" else b"a NOOP\r\n",
                  b"QUIT\r\n" if service == "smtp" else b"a LOGOUT\r\n"]:
        s = c.wrap_socket(plain(served, service), suppress_ragged_eofs=False)
        if service == "imaps":
            s.recv(4096)
        if words:
            s.sendall(words)
            assert s.recv(4096)
        rest = s.unwrap()
        assert rest.recv(100) == b""
        rest.close()


def test_what_is_no_tls_is_counted(served):
    before = counted(served, "imap_tls_failed_no_tls")
    for words in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"a LOGIN alice secret\r\n", b"EHLO c.example\r\n"]:
        with plain(served, "imaps") as s:
            s.sendall(words)
            while s.recv(4096):
                pass
    assert counted(served, "imap_tls_failed_no_tls") - before == 3


def test_a_client_that_does_not_trust_is_counted(served):
    before = counted(served, "tls_failed_alert")
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(plain(served, "smtp"), server_hostname=harness.DOMAIN)
    for _ in range(100):  # the alert is on its way when the client gives up
        if counted(served, "tls_failed_alert") == before + 1:
            break
        time.sleep(0.05)
    assert counted(served, "tls_failed_alert") == before + 1
