"""A client of a protocol of lines, octet for octet."""
import select
import socket


class Talk:
    """A connection, octet for octet."""

    def __init__(self, i, service="smtp", host=1):
        self.s = socket.socket()
        self.s.settimeout(60)
        self.s.bind((f"127.0.1.{host}", 0))
        self.s.connect(("127.0.0.1", i.port(service)))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()

    def hear(self, seconds=10):
        """What comes within that time, b"" if nothing or the end does."""
        return self.s.recv(65536) if select.select([self.s], [], [], seconds)[0] else b""

    def ask(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.hear()

    def rest(self):
        out = b""
        while data := self.hear():
            out += data
        return out


def greeted(i, service="smtp", host=1):
    t = Talk(i, service, host)
    return t, t.hear()
