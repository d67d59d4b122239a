"""Another mail server for tests, which does what a test tells it.

    with Peer(port=..., host="127.0.0.2", rcpt=lambda address: "550 5.1.1 nobody") as p:
        ...
        p.mails          # [Mail(sender, recipients, octets, tls, options)]
        p.connections    # how many there were

Keywords are replies: a text, or a function of what was said that gives one. None for a reply: the connection ends
there. `silent` accepts and says nothing. `starttls`: an ssl.SSLContext, or "fail" for one who offers it and speaks
nonsense."""
import dataclasses
import socket
import ssl
import subprocess
import threading


@dataclasses.dataclass
class Mail:
    sender: str
    recipients: list
    octets: bytes
    tls: bool
    options: str


def certificate(place, name, *more):
    """(chain, key) of a self-signed certificate, in place."""
    chain, key = place / f"{name}.pem", place / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", chain, "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    return chain, key


def fingerprint(chain):
    """The SHA-256 of its public key info, as relay.policy has it."""
    der = subprocess.run(f"openssl x509 -in {chain} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum",
                         shell=True, check=True, capture_output=True, text=True).stdout
    return der.split()[0]


class Peer:
    def __init__(self, port, host="127.0.0.1", greeting="220 peer", ehlo=("PIPELINING", "8BITMIME", "SIZE 50000000"),
                 mail="250 2.1.0 ok", rcpt="250 2.1.5 ok", data="354 go on", end="250 2.0.0 taken", auth=None,
                 starttls=None, silent=False):
        self.replies = {"greeting": greeting, "mail": mail, "rcpt": rcpt, "data": data, "end": end, "auth": auth}
        self.ehlo, self.starttls, self.silent = ehlo, starttls, silent
        self.mails, self.connections, self.open, self.logins = [], 0, 0, []
        self.lock = threading.Lock()
        self.sockets = set()
        self.server = socket.create_server((host, port), backlog=1000)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)  # who waits in accept would keep it open
        self.thread.join()
        self.server.close()
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with self.lock:
            self.connections += 1
            self.open += 1
            self.sockets.add(s)
        try:
            self._talk(s)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            with self.lock:
                self.open -= 1
                self.sockets.discard(s)
            s.close()

    def _reply(self, s, what, said=""):
        reply = self.replies[what]
        if callable(reply):
            reply = reply(said)
        if reply is None:
            raise EOFError
        s.sendall(reply.encode() + b"\r\n")
        return reply

    def _talk(self, s):
        if self.silent:
            while s.recv(1000):
                pass
            return
        self._reply(s, "greeting")
        f, tls, sender, options, recipients = s.makefile("rb"), False, None, "", []
        while True:
            line = f.readline()
            if not line:
                return
            word, _, rest = line.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
            word = word.upper()
            if word in ("EHLO", "HELO"):
                offers = ["peer", *self.ehlo] + (["STARTTLS"] if self.starttls and not tls else [])
                s.sendall("".join(f"250{'-' if o is not offers[-1] else ' '}{o}\r\n" for o in offers).encode())
            elif word == "STARTTLS":
                s.sendall(b"220 go on\r\n")
                if self.starttls == "fail":
                    s.sendall(b"this is no TLS at all\r\n")
                    return
                s = self.starttls.wrap_socket(s, server_side=True)
                f, tls = s.makefile("rb"), True
            elif word == "AUTH":
                self.logins.append((rest, tls))
                self._reply(s, "auth", rest)
            elif word == "MAIL":
                sender, _, options = rest[len("FROM:<"):].partition(">")
                recipients = []
                if self._reply(s, "mail", sender)[0] != "2":
                    sender = None
            elif word == "RCPT":
                address = rest[len("TO:<"):].partition(">")[0]
                if self._reply(s, "rcpt", address)[0] == "2":
                    recipients.append(address)
            elif word == "DATA":
                if not recipients:
                    s.sendall(b"554 5.5.1 nobody\r\n")
                    continue
                if self._reply(s, "data")[0] != "3":
                    continue
                octets = b""
                while (line := f.readline()) != b".\r\n":
                    if not line:
                        return
                    octets += line[1:] if line.startswith(b".") else line
                mail = Mail(sender, recipients, octets, tls, options)
                if self._reply(s, "end", mail)[0] == "2":
                    with self.lock:
                        self.mails.append(mail)
                sender, recipients = None, []
            elif word == "RSET":
                sender, recipients = None, []
                s.sendall(b"250 ok\r\n")
            elif word == "QUIT":
                s.sendall(b"221 bye\r\n")
                return
            else:
                s.sendall(b"502 5.5.1 no\r\n")
