"""HTTP as strangers speak it: what is answered, what is refused, and that nobody is kept from it by somebody else."""
import contextlib
import functools
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402

NAME = harness.DOMAIN
WAIT = 120  # for what has to come


@pytest.fixture(scope="module")
def site():
    with harness.Instance(web=True).init(web_instances=1, log_level="debug", mta_sts_mode="enforce",
                                         mta_sts_mx="mx1.example.org, *.mx.example.org") as i:
        i.run("domain", "add", "example.org")
        yield i.serve()


@functools.lru_cache(None)
def tls_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(i, tls=True, name=NAME, peer=""):
    s = socket.create_connection(("127.0.0.1", i.port("https" if tls else "http")), timeout=WAIT,
                                 source_address=(peer, 0))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls_context().wrap_socket(s, server_hostname=name) if tls else s


def read_answer(s, method="GET"):
    """(status, fields, body) of the next answer; None: the connection ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            piece = s.recv(1)
        except (ConnectionError, ssl.SSLError):
            piece = b""
        if not piece:
            assert data == b"", data
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    status = int(lines[0].split()[1])
    length = int(fields.get("content-length", 0)) if method != "HEAD" and status not in (204, 304) else 0
    while len(body) < length:
        piece = s.recv(length - len(body))
        assert piece, "the answer is cut off"
        body += piece
    return status, fields, body


def ask(i, text, tls=True, name=NAME, method="GET"):
    data = text if isinstance(text, bytes) else text.encode()
    with connect(i, tls, name) as s:
        s.sendall(data)
        return read_answer(s, method)


def get(i, path="/", host=NAME, tls=True, method="GET", **fields):
    more = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return ask(i, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n", tls, method=method)


# ---- what is there ----

def test_the_policy_of_hosted_domains(site):
    status, fields, body = get(site, "/.well-known/mta-sts.txt", "mta-sts.example.org")
    assert status == 200 and fields["content-type"].startswith("text/plain")
    assert body.split(b"\r\n") == [b"version: STSv1", b"mode: enforce", b"mx: mx1.example.org",
                                   b"mx: *.mx.example.org", b"max_age: 604800", b""]
    for host in (NAME, "example.org", "mta-sts.other.example", "openpgpkey.example.org"):
        assert get(site, "/.well-known/mta-sts.txt", host)[0] in (404, 421)
    assert get(site, "/.well-known/mta-sts.txt", "mta-sts.example.org", tls=False)[0] == 308


def test_the_record_has_the_id_of_the_policy(site):
    import hashlib
    body = get(site, "/.well-known/mta-sts.txt", "mta-sts.example.org")[2]
    zone = site.run("domain", "dns", "example.org").stdout.decode()
    assert f'_mta-sts.example.org.  IN TXT "v=STSv1; id={hashlib.sha256(body).hexdigest()[:32]}"' in zone
    assert f"mta-sts.example.org.  IN CNAME {NAME}." in zone
    assert f"openpgpkey.example.org.  IN CNAME {NAME}." in zone
    assert get(site, "/.well-known/openpgpkey/example.org/policy", "openpgpkey.example.org")[0] == 200


def test_pages(site):
    status, fields, body = get(site)
    assert status == 200 and fields["content-type"] == "text/html; charset=utf-8"
    assert fields["strict-transport-security"] and "default-src 'none'" in fields["content-security-policy"]
    assert fields["x-content-type-options"] == "nosniff" and fields["referrer-policy"] == "no-referrer"
    assert "server" not in fields
    style = re.search(rb'href="(/assets/style\.[0-9a-f]+\.css)"', body)[1].decode()
    status, fields, _ = get(site, style)
    assert status == 200 and "immutable" in fields["cache-control"]
    assert get(site, "/robots.txt")[2].startswith(b"User-agent")
    assert b"mailto:postmaster@" in get(site, "/.well-known/security.txt")[2]
    assert get(site, "/nothing")[0] == 404 and get(site, "/", "elsewhere.example")[0] == 421


def test_what_a_browser_has_is_not_sent_again(site):
    import gzip
    plain = get(site)
    packed = get(site, Accept_Encoding="gzip;q=1.0, deflate")
    assert packed[1]["content-encoding"] == "gzip" and gzip.decompress(packed[2]) == plain[2]
    brotli = get(site, Accept_Encoding="gzip, br")
    assert brotli[1]["content-encoding"] == "br" and len(brotli[2]) < len(packed[2])
    assert "content-encoding" not in get(site, Accept_Encoding="br;q=0, gzip;q=0.000, brx")[1]
    assert len({a[1]["etag"] for a in (plain, packed, brotli)}) == 3
    assert all(a[1]["vary"] == "Accept-Encoding" for a in (plain, packed, brotli))
    for value in (plain[1]["etag"], '"x", W/' + plain[1]["etag"], "*"):
        status, fields, body = get(site, If_None_Match=value)
        assert status == 304 and body == b"" and fields["etag"] == plain[1]["etag"]
    assert get(site, If_None_Match=brotli[1]["etag"])[0] == 200
    status, fields, body = get(site, method="HEAD")
    assert status == 200 and int(fields["content-length"]) == len(plain[2])


def test_the_way_to_tls(site):
    port = site.port("https")
    for host in (NAME, "example.org", "mta-sts.example.org", "openpgpkey.example.org"):
        status, fields, _ = get(site, "/a%20b?c=%2F", host + ":80", tls=False)
        assert (status, fields["location"]) == (308, f"https://{host}:{port}/a%20b?c=%2F")
    for host in ("elsewhere.example", "127.0.0.1", "www.example.org", "mta-sts.elsewhere.example"):
        assert get(site, "/", host, tls=False)[0] == 404
    assert get(site, "//evil.example/", tls=False)[0] == 400


def test_methods(site):
    for method, status in {"POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 204, "PATCH": 501, "TRACE": 501,
                           "CONNECT": 501, "BREW": 501, "get": 501}.items():
        answer = get(site, method=method)
        assert answer[0] == status, method
        if status in (204, 405):
            assert answer[1]["allow"] == "GET, HEAD, OPTIONS"
    assert get(site, "*", method="OPTIONS")[0] == 204 and get(site, "/nothing", method="POST")[0] == 404


# ---- what is refused ----

HOST = f"Host: {NAME}\r\n"
LONG = "a" * 3000
# What is sent -> the statuses that may come, of which the last ends the connection (None: it ends without a word).
HOSTILE = {
    # where a body ends
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 411,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n": 501,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding:\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\x85\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}\xefTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer_Encoding\x00: chunked\r\n\r\n0\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 411,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 0o3\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1_0\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1 0\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3.0\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: \"3\"\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3;\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: \xb2\r\n\r\nab": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\tContent-Length: 0\r\n\r\nabc": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n1;{LONG}\r\na\r\n0\r\n\r\n": 411,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1, 1\r\n\r\na": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\na": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 0x1\r\n\r\na": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: \r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length : 1\r\n\r\na": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 18446744073709551615\r\n\r\n": 413,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 18446744073709551616\r\n\r\n": 413,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 999999999999999999\r\n\r\n": 405,
    f"GET / HTTP/1.1\r\n{HOST}Content-Length: 37\r\n\r\nGET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n": 413,
    f"GET /nothing HTTP/1.1\r\n{HOST}Content-Length: 37\r\n\r\nGET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    f"GET / HTTP/1.1\r\n{HOST}Expect: 200-ok\r\n\r\n": 417,
    f"POST / HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n": 405,
    # lines
    f"GET / HTTP/1.1\n{HOST}\r\n": 400,
    f"GET / HTTP/1.1\r\nHost: {NAME}\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}\n": 400,
    f"GET  / HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET /  HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET / HTTP/1.1 \r\n{HOST}\r\n": 400,
    f"GET /a b HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET\t/ HTTP/1.1\r\n{HOST}\r\n": (400, None),
    f" GET / HTTP/1.1\r\n{HOST}\r\n": None,
    f"GET / HTTP/1.1\r\n {HOST}\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}X\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}: y\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}X\0: b\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}X: a\0\0Content-Length\0 5\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}X: a\0\0Transfer-Encoding\0chunked\r\n\r\n": 400,
    f"GET /a\0b HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET\0/ HTTP/1.1\r\n{HOST}\r\n": (400, None),
    f"GET / HTTP/1.1\r\n{HOST}X: a\x01b\r\n\r\n": 400,
    f"GET /\r\n{HOST}\r\n": 400,
    f"GET / HTTP/2.0\r\n{HOST}\r\n": 505,
    f"GET / HTTP/0.9\r\n{HOST}\r\n": 505,
    f"GET / HTTP/1.9\r\n{HOST}\r\n": 505,
    f"GET / HTTP/1.1x\r\n{HOST}\r\n": 400,
    **{f"GET / {v}\r\n{HOST}\r\n": 400 for v in (
        "HTTP/1", "HTTP/1.", "HTTP/01.1", "HTTP/1.01", "HTTP/ 1.1", "http/1.1",
        "HTTP/1.1\t", "HTTP/1.1\x0b", "HTTP 1.1", "HTTP\\1.1", "HTTP/1,1")},
    "GET /\r\n": (400, None),
    "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03": (400, None),
    f"{'G' * 9000} / HTTP/1.1\r\n{HOST}\r\n": 414,
    f"GET / HTTP/1.1\r{HOST}\r\n": 400,
    f"GET / HTTP/1.1\r\r\n{HOST}\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST[:-2]}\r\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}X[1]: y\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}X Y: z\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}X: a\x7fb\r\n\r\n": 400,
    f"GET / XTTP/1.1\r\n{HOST}\r\n": 400,
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
    "EHLO x\r\n": (400, None),
    # hosts
    "GET / HTTP/1.1\r\n\r\n": 400,
    "GET / HTTP/1.1\r\nHost:\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}Host: elsewhere.example\r\n\r\n": 400,
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n": 400,
    **{f"GET / HTTP/1.1\r\nHost: {h}\r\n\r\n": 400 for h in (
        f"{NAME}, elsewhere.example", f"{NAME};", f"{NAME}:99999999", f"{NAME}:80:80", f"{NAME}#", f"{NAME}%00", "[::1",
        "::1", "[127.0.0.1]", "[::1%25lo]", "..", f".{NAME}", f"{NAME}..", "a_b", "-a", "a-", "\xe4.example",
        "a" * 64, "*")},
    f"GET {NAME}:443 HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET https:/{NAME}/ HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET https:///x HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET https://{NAME}\\@x/ HTTP/1.1\r\n{HOST}\r\n": 400,
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n": 400,
    "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n": 400,
    "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n": 400,
    f"GET http://a@{NAME}/ HTTP/1.1\r\n{HOST}\r\n": 400,
    f"GET ftp://{NAME}/ HTTP/1.1\r\n{HOST}\r\n": 400,
    # paths
    **{f"GET {path} HTTP/1.1\r\n{HOST}\r\n": 400 for path in (
        "//", "/..", "/../etc/passwd", "/a/../b", "/%2e%2e/", "/.%2e/", "/a%2fb", "/a%5cb", "/a\\b", "/a%00", "/%252e",
        "/a%25", "/%", "/%zz", "/a#b", "/<", "/a?b=\"", "/a?%", "*", "a", "/\xff", "/%2E%2E/", "/%2e",
        "/.", "/a/.", "/a/..", "/a//b", "/a/%2e%2e/%2e%2e/etc/passwd",
        "/%c0%ae%c0%ae%2f", "/a%0d%0ab", "/a%0a", "/a%7f", "/..%5c", "/a?b#c", "/{a}", "/a|b", "/a^b", "/`",
        "/%u002e", "/%5c..",
        "\\", "/\\x\\y", "?", "?a", "//x/..", "/a?b\\c", "/\xc0\xae", "/%2")},
    f"GET /{'a' * 1024} HTTP/1.1\r\n{HOST}\r\n": 414,
    f"GET /?{'a' * 4097} HTTP/1.1\r\n{HOST}\r\n": 414,
    f"GET /{'a' * 9000} HTTP/1.1\r\n{HOST}\r\n": 414,
    f"GET / HTTP/1.1\r\n{HOST}{'a: b' * 1}\r\n" + "a: b\r\n" * 64 + "\r\n": 431,
    f"GET / HTTP/1.1\r\n{HOST}X: {'a' * 9000}\r\n\r\n": 431,
}
AFTER = f"GET /robots.txt HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"


def read_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except (ConnectionError, ssl.SSLError):
        pass
    return data


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_hostile_requests(site, tls):
    """Each is refused as the table says, its connection ends, and what stands behind it is read by nobody. (To a
    malformed Content-Length the library says its head twice.)"""
    wrong = {}
    for text, wanted in HOSTILE.items():
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        if not tls:  # there is nothing but the way to TLS
            wanted += tuple({405: 404, 413: 404}.get(w, w) for w in wanted)
        with connect(site, tls) as s:
            s.sendall(text.encode("latin-1") + AFTER.encode())
            said = read_all(s)
        status = int(said.split()[1]) if said else None
        if status not in wanted or b"/robots.txt" in said or b"User-agent" in said:
            wrong[text[:120]] = (wanted, said)
    assert wrong == {}


def test_one_hundred_thousand_headers(site):
    with connect(site) as s:
        answer = None
        try:
            for _ in range(1000):
                s.sendall(b"a: b\r\n" * 100 if _ else f"GET / HTTP/1.1\r\n{HOST}".encode())
        except (ConnectionError, ssl.SSLError):
            pass
        try:
            answer = read_answer(s)
        except (ConnectionError, ssl.SSLError, AssertionError):
            pass
    assert answer is None or answer[0] == 431
    assert get(site)[0] == 200


def test_one_after_another_and_all_at_once(site):
    """Keep-alive, and pipelining."""
    request = f"GET /robots.txt HTTP/1.1\r\n{HOST}\r\n".encode()
    for tls in (True, False):
        with connect(site, tls) as s:
            for _ in range(3):
                s.sendall(request)
                assert read_answer(s)[0] == (200 if tls else 308)
            s.sendall(request * 50)
            for _ in range(50):
                assert read_answer(s)[0] == (200 if tls else 308)
            s.sendall(f"GET /robots.txt HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n".encode())
            assert read_answer(s)[0] in (200, 308) and read_answer(s) is None


def test_a_target_may_name_its_host(site):
    """RFC 9112 section 3.2.2: it counts, whatever the field says."""
    for target, host, status in ((f"https://{NAME}/robots.txt", NAME, 200),
                                 (f"https://{NAME}/", "elsewhere.example", 200),
                                 (f"HTTP://{NAME.upper()}:443/robots.txt", NAME, 200), (f"https://{NAME}", NAME, 200),
                                 (f"https://{NAME}?q", NAME, 200), ("https://elsewhere.example/", NAME, 421)):
        assert get(site, target, host)[0] == status, target


# ---- who is slow, and who is many ----

@pytest.fixture(scope="module")
def strict():
    """Short deadlines, and few connections of a peer."""
    with harness.Instance(web=True).init(web_instances=1, web_request_timeout=2, web_idle_timeout=2,
                                         web_transfer_timeout=2, web_sessions_peer=40) as i:
        yield i.serve()


def drip(s, text, end):
    """An octet now and then, until the other side has had enough."""
    for octet in text * 1000:
        if time.monotonic() > end:
            return False
        try:
            s.sendall(octet.encode("latin-1"))
            s.settimeout(0.1)
            if s.recv(1) == b"":
                return True
        except (socket.timeout, ssl.SSLWantReadError):
            continue
        except (ConnectionError, ssl.SSLError):
            return True
    return False


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_slow_clients_are_ended(strict, tls):
    before = strict.counters("web")["web_timeouts"]
    end = time.monotonic() + WAIT
    with connect(strict, tls) as line, connect(strict, tls) as fields, connect(strict, tls) as idle, \
            connect(strict, tls) as body:
        if tls:
            body.sendall(f"POST /pks/add HTTP/1.1\r\n{HOST}Content-Length: 9999\r\n\r\n".encode())
        fields.sendall(f"GET / HTTP/1.1\r\n{HOST}".encode())
        idle.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
        assert read_answer(idle)[0] in (200, 308)
        assert drip(line, "GET", end) and drip(fields, "X: y\r\n", end) and (not tls or drip(body, "a=", end))
        assert idle.recv(1) == b""
    with socket.create_connection(("127.0.0.1", strict.port("https")), timeout=WAIT) as mute:
        assert mute.recv(1) == b""  # whose handshake never began
    with socket.create_connection(("127.0.0.1", strict.port("https")), timeout=WAIT) as slow:
        assert drip(slow, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "x" * 500, end)  # whose handshake never ends
    assert strict.counters("web")["web_timeouts"] >= before + (6 if tls else 5)


def test_who_does_not_read_is_ended(strict):
    with connect(strict, tls=True) as s:
        s.settimeout(2)
        with contextlib.suppress(OSError):  # until neither side takes more
            for _ in range(100000):
                s.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode() * 100)
        before, end = 1, time.monotonic() + WAIT
        while before and time.monotonic() < end:
            time.sleep(0.1)
            before = strict.counters("web")["web_sessions_now"]
        assert before == 0


def test_a_peer_has_so_many(strict):
    end = time.monotonic() + WAIT
    while strict.counters("web")["web_sessions_now"] and time.monotonic() < end:
        time.sleep(0.1)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", strict.port("http")), timeout=WAIT))
        with socket.create_connection(("127.0.0.1", strict.port("http")), timeout=WAIT) as s:
            assert s.recv(12) == b"HTTP/1.1 503"
        with socket.create_connection(("127.0.0.1", strict.port("https")), timeout=WAIT) as s:
            assert s.recv(12) == b""
        assert strict.counters("web")["web_sessions_refused"] >= 2
    while time.monotonic() < end:
        with contextlib.suppress(OSError, AssertionError):
            if get(strict, "/", tls=False)[0] == 308:
                break


def memory(i):
    return sum(int(re.search(r"^RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])
               for pid in i.pids("web"))


def test_nothing_grows():
    """Hostile heads, half heads and handshakes that end: afterwards the role is as large as before."""
    with harness.Instance(web=True, binary=harness.released()).init(web_instances=1) as i:
        hostile_turns(i.serve())


def hostile_turns(site):
    texts = [t.encode("latin-1") for t in HOSTILE]

    def turn():
        for n, text in enumerate(texts):
            with connect(site, tls=n % 2) as s, contextlib.suppress(ConnectionError, ssl.SSLError):
                s.sendall(text[:len(text) // (1 + n % 3)])
            with socket.create_connection(("127.0.0.1", site.port("https")), timeout=WAIT) as s:
                s.sendall(text[:50])

    def quiet():
        end = time.monotonic() + WAIT
        while site.counters("web")["web_sessions_now"] and time.monotonic() < end:
            time.sleep(0.1)
        assert site.counters("web")["web_sessions_now"] == 0

    turn()
    quiet()
    before = memory(site)
    for _ in range(3):
        turn()
    quiet()
    assert memory(site) < before + 2048, "KB"
    assert len(site.pids("web")) == 1 and "web 0 ended" not in site.log()


# ---- TLS ----

def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, input="", timeout=WAIT)


def test_old_tls_is_refused(site):
    to = f"127.0.0.1:{site.port('https')}"
    for bad in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
                ["-tls1_2", "-cipher", "ECDHE+SHA256:@SECLEVEL=0"], ["-tls1_2", "-cipher", "DHE"],
                ["-alpn", "h2"], ["-alpn", "imap"]):
        assert openssl("s_client", "-connect", to, *bad).returncode != 0, bad
    for good in (["-tls1_2"], ["-tls1_3"], ["-alpn", "h2,http/1.1"], ["-groups", "P-256"]):
        said = openssl("s_client", "-connect", to, *good)
        assert said.returncode == 0, said.stderr
        assert "ALPN protocol: http/1.1" in said.stdout or "-alpn" not in good
    said = openssl("s_client", "-connect", to, "-tls1_2", "-reconnect").stdout
    assert "Reused" not in said and "Secure Renegotiation IS supported" in said


def shown(i, name):
    with connect(i, name=name) as s:
        return s.getpeercert(binary_form=True)


def make(i, name, cn):
    chain, key = i.dir / "tls" / f"{name}chain.pem", i.dir / "tls" / f"{name}key.pem"
    made = openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
                   "-subj", f"/CN={cn}", "-addext", f"subjectAltName=DNS:{cn}", "-keyout", key, "-out", chain)
    assert made.returncode == 0, made.stderr
    key.chmod(0o600)
    return ssl.PEM_cert_to_DER_cert(chain.read_text())


def test_certificates_change_and_nobody_notices(site):
    """By name, and by a reload while handshakes go on: none fails, and a connection that is there goes on."""
    own = shown(site, NAME)
    other = make(site, "mta-sts.example.org.", "mta-sts.example.org")
    failed, count, over = [], [0], threading.Event()

    def load():
        while not over.is_set():
            try:
                assert get(site, "/robots.txt")[0] == 200
                count[0] += 1
            except (OSError, AssertionError, TypeError) as e:
                failed.append(repr(e))

    threads = [threading.Thread(target=load) for _ in range(3)]
    with connect(site) as kept:
        kept.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
        assert read_answer(kept)[0] == 200
        for t in threads:
            t.start()
        for n in range(3):
            fresh = make(site, "", NAME)
            site.run("reload")
            end = time.monotonic() + WAIT
            while shown(site, NAME) != fresh and time.monotonic() < end:
                pass
            assert shown(site, NAME) == fresh != own
            assert shown(site, "mta-sts.example.org") == other
            kept.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
            assert read_answer(kept)[0] == 200
        over.set()
        for t in threads:
            t.join()
    assert failed == [] and count[0] > 5


# ---- the end ----

def test_the_orderly_stop(site):
    """Who waits for nothing is let go, and what is under way is answered."""
    with connect(site) as idle, connect(site) as asked:
        idle.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
        assert read_answer(idle)[0] == 200
        asked.sendall(f"GET / HTTP/1.1\r\n{HOST}\r\n".encode())
        began = time.monotonic()
        assert site.stop() == 0
        assert read_all(idle) == b""
        said = read_all(asked)
        assert said == b"" or said.startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 60
    said = site.log()
    assert NAME not in re.sub(r"(?m)^.* (master|vault)\S* .*$", "", said) and "robots.txt" not in said
