"""What the benchmarks put on a server: mail by smtp-source, a client that takes a mailbox, connections that idle."""
import re
import socket
import ssl
import subprocess
import time

import harness

SIZE, SESSIONS = 20000, 50


def source(port, messages, reuse=False):
    """Seconds until the last message has its 250."""
    begin = time.monotonic()
    p = subprocess.run(["/usr/sbin/smtp-source", *(["-d"] if reuse else []), "-s", str(SESSIONS), "-m", str(messages),
                        "-l", str(SIZE), "-f", "source@example.org", "-t", f"alice@{harness.DOMAIN}",
                        f"127.0.0.1:{port}"], capture_output=True, timeout=900)
    assert p.returncode == 0, p.stderr.decode()[-500:]
    return time.monotonic() - begin


class Client:
    def __init__(self, port, tls, user, password):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=120)
        if tls:
            context = ssl._create_unverified_context()
            self.s = context.wrap_socket(self.s)
        self.buffer = bytearray(1 << 20)
        self.line(b"")
        self.command(b"a", f"LOGIN {user} {password}".encode())

    def line(self, start):
        got = b""
        while not got.endswith(b"\r\n") or not got.split(b"\r\n")[-2].startswith(start):
            more = self.s.recv(65536)
            assert more, got
            got += more
        return got

    def command(self, tag, text):
        self.s.sendall(tag + b" " + text + b"\r\n")
        got = self.line(tag + b" ")
        assert tag + b" OK" in got, got
        return got

    def fetch(self):
        """Octets and seconds until the tagged reply."""
        self.s.sendall(b"f UID FETCH 1:* (BODY.PEEK[])\r\n")
        begin, total, tail = time.monotonic(), 0, b""
        while not re.search(rb"\r\nf (OK|NO|BAD)[^\r\n]*\r\n$", tail):
            n = self.s.recv_into(self.buffer)
            assert n, "the connection ended"
            total += n
            tail = (tail + bytes(self.buffer[max(0, n - 400):n]))[-400:]
        assert b"\r\nf OK" in tail, tail
        return total, time.monotonic() - begin

    def count(self, mailbox="INBOX"):
        return int(re.search(rb"\* (\d+) EXISTS", self.command(b"s", b"SELECT " + mailbox.encode())).group(1))


def connect(port, user, password, context, idle):
    """Over TLS, logged in, INBOX selected, in IDLE if told so."""
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))
    f = s.makefile("rb", buffering=0)

    def until(tag):
        line = b""
        while not line.endswith(b"\n") or not (line.split(b"\r\n")[-2].startswith(tag)):
            got = s.recv(4096)
            assert got, line
            line += got
        return line

    until(b"* OK")
    s.sendall(f"a LOGIN {user} {password}\r\n".encode())
    assert b"a OK" in until(b"a ")
    s.sendall(b"b SELECT INBOX\r\n")
    until(b"b ")
    if idle:
        s.sendall(b"c IDLE\r\n")
        until(b"+")
    del f
    return s
