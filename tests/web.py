"""A web server for tests, over TLS by a CA of its own, that behaves in every bad way.

    with web.Server(tmp_path, port) as w:
        settings = {"fetch_allow": f"127.0.0.0/28@{w.port}", "fetch_ca_file": w.ca}
        w.requests, w.sent, w.connections

127.0.0.1 and ::1 have a good certificate for names (GOOD); by the name that a client asks for (SNI), others that
are expired, made by nobody, or another's. What a path does stands beside its function. 127.0.0.2 speaks HTTP without
TLS, 127.0.0.3 nothing at all, 127.0.0.4 TLS 1.1 alone, on 127.0.0.5 nobody listens, 127.0.0.6 sends garbage."""
import gzip
import pathlib
import socket
import ssl
import subprocess
import threading
import urllib.parse
import zlib

BLOCK = b"x" * 65536
KINDS = ("good", "expired", "nobodys", "anothers")


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


GOOD = ("*.web.test", "web.test", *(f"{n}.test" for n in ("good", "alias", "second", "clear", "old", "silent")))


class Certificates:
    def __init__(self, place, names):
        self.place = pathlib.Path(place)
        self.ca = self.place / "ca.pem"
        self._make("ca", "ca")
        self._make("good", *names)
        self._make("expired", "expired.test", ended=True)
        self._make("anothers", "else.example")
        self._make("nobodys", "nobodys.test", by=None)

    def file(self, name, kind):
        return self.place / f"{name}.{kind}"

    def _make(self, name, *names, ended=False, by="ca"):
        key, cert, request = self.file(name, "key"), self.file(name, "pem"), self.file(name, "req")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        days = ["-days", "-1"] if ended else ["-days", "20"]
        extensions = self.file(name, "ext")
        extensions.write_text("basicConstraints=CA:TRUE\n" if name == "ca" else
                              "subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
        issuer = ["-signkey", key] if name == "ca" or by is None else [
            "-CA", self.ca, "-CAkey", self.file("ca", "key"), "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, *issuer, *days, "-extfile", extensions, "-out", cert)

    def context(self, name):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.file(name, "pem"), self.file(name, "key"))
        return c


class Server:
    def __init__(self, place, port, names=GOOD):
        certificates = Certificates(place, names)
        self.ca, self.port = certificates.ca, port
        self.contexts = {k: certificates.context(k) for k in KINDS}
        self.contexts["good"].sni_callback = self._by_name
        self.old = certificates.context("good")
        self.old.set_ciphers("ALL:@SECLEVEL=0")
        self.old.minimum_version = ssl.TLSVersion.TLSv1
        self.old.maximum_version = ssl.TLSVersion.TLSv1_1
        self.requests = []  # (method, target, headers, body)
        self.sent = {}      # path: octets that the kernel took
        self.connections = 0
        self.most = self.now = 0
        self.hold = threading.Event()  # what /hold waits for
        self.lock = threading.Lock()
        self.sockets = []
        ways = {1: self._tls, 2: self._clear, 3: self._silent, 4: self._old, 6: self._garbage}
        self.listeners = []
        for host, way in ways.items():
            self._listen(socket.create_server((f"127.0.0.{host}", port), backlog=128), way)
        self.over_v6 = 0
        self._listen(socket.create_server(("::1", port), family=socket.AF_INET6), self._tls)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.hold.set()
        for s in self.listeners:
            s.shutdown(socket.SHUT_RDWR)
            s.close()
        with self.lock:
            for s in self.sockets:
                s.close()

    def _listen(self, s, way):
        self.listeners.append(s)
        threading.Thread(target=self._accept, args=(s, way), daemon=True).start()

    def _by_name(self, connection, name, context):
        kind = (name or "").split(".")[0]
        if kind in KINDS:
            connection.context = self.contexts[kind]

    def _accept(self, listener, way):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.over_v6 += s.family == socket.AF_INET6
                self.sockets.append(s)
            threading.Thread(target=self._one, args=(s, way), daemon=True).start()

    def _one(self, s, way):
        try:
            way(s)
        except (OSError, ValueError):
            pass
        finally:
            s.close()

    def _tls(self, s):
        with self.contexts["good"].wrap_socket(s, server_side=True) as t:
            self._serve(t)

    def _clear(self, s):
        s.recv(4096)
        Answer(self, s, "clear").whole(b"TLS is spoken elsewhere", status="400")

    def _silent(self, s):
        while s.recv(4096):
            pass

    def _old(self, s):
        with self.old.wrap_socket(s, server_side=True) as t:
            self._serve(t)

    def _garbage(self, s):
        s.sendall(bytes(range(256)) * 16)
        while s.recv(4096):
            pass

    def _serve(self, s):
        while self._request(s) == "/keep":
            pass

    def _request(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(65536)
            if not more:
                return ""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += s.recv(65536)
        with self.lock:
            self.requests.append((method, target, headers, body))
            self.now += 1
            self.most = max(self.most, self.now)
        url = urllib.parse.urlsplit(target)
        try:
            getattr(self, "do_" + url.path.strip("/").replace("/", "_").replace(".", "_").replace("-", "_"))(
                Answer(self, s, url.path), urllib.parse.unquote(url.query))
        finally:
            with self.lock:
                self.now -= 1
        return url.path

    # What each path does.
    def do_ok(self, a, _):
        a.whole(b"hello")

    do_keep = do_ok  # and the connection stays open

    def do__well_known_mta_sts_txt(self, a, _):
        a.whole(b"version: STSv1\r\nmode: testing\r\nmx: mx.web.test\r\nmax_age: 86400\r\n")

    def do_html(self, a, _):
        a.whole(b"<p>", type="text/HTML; charset=utf-8")

    def do_typeless(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    def do_hold(self, a, _):
        self.hold.wait(120)
        a.whole(b"held")

    def do_status(self, a, code):
        a.whole(b"such", status=code)

    def do_redirect(self, a, to):
        code, _, to = to.partition(" ")
        a.send(f"HTTP/1.1 {code} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    def do_exact(self, a, n):
        a.whole(b"x" * int(n))

    def do_gigabyte(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1073741824\r\n\r\n")
        a.for_ever(BLOCK)

    def do_endless(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        a.for_ever(BLOCK)

    def do_chunks(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        a.for_ever(b"10000\r\n" + BLOCK + b"\r\n")

    def do_extension(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1;a=")
        a.for_ever(BLOCK)

    def do_trailers(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        a.for_ever(b"X-Trailer: " + b"x" * 1000 + b"\r\n")

    def do_gzip(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n"
               + gzip.compress(bytes(20 << 20)))

    def do_transfer_gzip(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")
        pack, block = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(4 << 20)
        for _ in range(256):  # a GB
            part = pack.compress(block) + pack.flush(zlib.Z_SYNC_FLUSH)
            a.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    def do_emptiness(self, a, _):
        """Blocks of DEFLATE that hold nothing."""
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
               b"a\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff\r\n")
        a.for_ever(b"fa00\r\n" + b"\0\0\0\xff\xff" * 12800 + b"\r\n")

    def do_headers(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\n")
        for _ in range(1000):
            a.send(b"".join(b"X-%d: y\r\n" % i for i in range(100)))
        a.send(b"Content-Length: 0\r\n\r\n")

    def do_header(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20) + b"\r\nContent-Length: 0\r\n\r\n")

    def do_interim(self, a, _):
        a.for_ever(b"HTTP/1.1 100 Continue\r\nX-Y: zzzz\r\n\r\n" * 10)

    def do_slow(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        a.for_ever(b"x", pause=0.1)

    def do_slow_header(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        a.for_ever(b"x", pause=0.1)

    def do_nothing(self, a, _):
        while a.socket.recv(4096):
            pass

    def do_ends(self, a, _):
        pass

    def do_short(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nfew")

    def do_ssh(self, a, _):
        a.send(b"SSH-2.0-OpenSSH_9.2\r\n")

    def do_http09(self, a, _):
        a.send(b"just text\n")

    def do_upgrade(self, a, _):
        a.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        a.for_ever(b"x", pause=0.1)

    def do_two_lengths(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: -1\r\n\r\nx")

    def do_cookie(self, a, _):
        a.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b; Path=/\r\n"
               b"Strict-Transport-Security: max-age=9999\r\nAlt-Svc: h2=\"127.1.1.1:443\"\r\n"
               b"Content-Length: 5\r\n\r\nhello")


class Answer:
    def __init__(self, server, s, path):
        self.server, self.socket, self.path = server, s, path

    def send(self, data):
        self.socket.sendall(data)
        with self.server.lock:
            self.server.sent[self.path] = self.server.sent.get(self.path, 0) + len(data)

    def whole(self, body, status="200", type="text/plain"):
        self.send(f"HTTP/1.1 {status} Reason\r\nContent-Type: {type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                  + body)

    def for_ever(self, data, pause=0):
        while not self.server.hold.wait(pause) if pause else True:
            self.send(data)
