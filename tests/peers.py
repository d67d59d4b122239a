"""Another mail server for tests, which does at each step what a test tells it, and keeps what it was given.

    with Peer(port, host="127.0.0.2", rcpt=first(1, "450 4.2.0 later", "250 ok")) as p:
        ...
        p.mails     # what it said 250 to: [Mail]
        p.attempts  # every transaction that began

Keywords are replies: a text (a line), octets (as they are), an iterator of such pieces, None (the connection ends
there), or a function of what was said that gives one of these. Besides:

    ehlo      the extensions that are offered, or a reply
    starttls  an ssl.SSLContext; a pair of one and octets that are sent behind the 220 in the clear; or a reply
    content   octets of a message after which the connection ends, or a function that gives them
    after     what follows the reply to a message, unasked; None: the message is taken and the connection ends before it
    window    octets of the receive buffer; pace: seconds between lines of a message
    silent    it accepts connections and says nothing"""
import base64
import contextlib
import copy
import dataclasses
import hashlib
import hmac
import socket
import ssl
import subprocess
import threading
import time


@dataclasses.dataclass
class Mail:
    sender: str
    options: str  # of MAIL
    tls: bool
    helo: str
    recipients: list = dataclasses.field(default_factory=list)  # that were accepted
    rcpt_options: dict = dataclasses.field(default_factory=dict)  # of every recipient that was named
    octets: bytes = b""  # without the dots of the transport


def certificate(place, name, expired=False):
    """(chain, key) of a self-signed certificate, in place."""
    chain, key = place / f"{name}.pem", place / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", chain, "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    if expired:
        subprocess.run(["openssl", "x509", "-in", chain, "-signkey", key, "-days", "-1", "-out", chain], check=True,
                       capture_output=True)
    return chain, key


def authority(place, name="authority"):
    """(certificate, key) of one that signs others' certificates."""
    chain, key = place / f"{name}.pem", place / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", chain, "-days", "2", "-subj", f"/CN={name}"], check=True,
                   capture_output=True)
    return chain, key


def issued(place, by, names, days=2):
    """A server's TLS with a certificate for names, which an authority signed, and whose certificate follows."""
    chain, key = place / f"issued-{names[0]}.pem", place / f"issued-{names[0]}.key"
    request = subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                              "-keyout", key, "-subj", "/CN=issued"], check=True, capture_output=True).stdout
    (place / "extensions").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in names))
    one = subprocess.run(["openssl", "x509", "-req", "-CA", by[0], "-CAkey", by[1], "-days", str(days), "-extfile",
                          place / "extensions"], input=request, check=True, capture_output=True).stdout
    chain.write_bytes(one + by[0].read_bytes())
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(chain, key)
    return c


def tlsa(chain, usage, selector, matching):
    """A TLSA record's data for the first certificate of a file."""
    pem = chain.read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[:pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")
    if selector:
        public = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem, check=True, capture_output=True,
                                text=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public.encode(), check=True,
                             capture_output=True).stdout
    data = [bytes.hex, lambda d: hashlib.sha256(d).hexdigest(), lambda d: hashlib.sha512(d).hexdigest()][matching](der)
    return f"{usage} {selector} {matching} {data}"


def context(place, name, expired=False):
    """A server's TLS with such a certificate."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*certificate(place, name, expired))
    return c


def fingerprint(chain):
    """The SHA-256 of its public key info, as relay.policy has it."""
    der = subprocess.run(f"openssl x509 -in {chain} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum",
                         shell=True, check=True, capture_output=True, text=True).stdout
    return der.split()[0]


def first(n, then_bad, then_good):
    """The first n times the one, then the other."""
    count, lock = [0], threading.Lock()

    def reply(said=""):
        with lock:
            count[0] += 1
            bad = count[0] <= n
        return then_bad if bad else then_good
    return reply


def slowly(text, pause):
    """An octet at a time."""
    def reply(said=""):
        for octet in text.encode() + b"\r\n":
            yield bytes([octet])
            time.sleep(pause)
    return reply


def late(text, pause):
    def reply(said=""):
        time.sleep(pause)
        return text
    return reply


def endless(line):
    """A reply that goes on and on."""
    def reply(said=""):
        while True:
            yield line
    return reply


class Scram:
    """A server's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), and of PLAIN: an AUTH reply for Peer."""

    def __init__(self, user, password, iterations=4096, lies=False):
        self.user, self.password, self.iterations, self.lies = user, password.encode(), iterations, lies
        self.mechanisms = []
        self.state = None

    def __call__(self, said):
        word, _, rest = said.partition(" ")
        if self.state is None:
            self.mechanisms.append(word)
            if word == "PLAIN":
                good = base64.b64decode(rest) == b"\0" + self.user.encode() + b"\0" + self.password
                return "235 2.7.0 in" if good else "535 5.7.8 no"
            return self._first(base64.b64decode(rest).decode())
        if self.state == "final":
            return self._final(base64.b64decode(said).decode())
        self.state = None
        return "235 2.7.0 in"

    def _first(self, message):
        self.bare = message.split(",", 2)[2]
        fields = dict(f.split("=", 1) for f in self.bare.split(","))
        if fields["n"] != self.user:
            return "535 5.7.8 no"
        self.nonce = fields["r"] + "serverpart"
        self.salt = b"saltsaltsaltsalt"
        self.server = f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={self.iterations}"
        self.state = "final"
        return "334 " + base64.b64encode(self.server.encode()).decode()

    def _final(self, message):
        self.state = None
        without, _, proof = message.rpartition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)
        signed = f"{self.bare},{self.server},{without}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        right = bytes(a ^ b for a, b in zip(key, signature))
        if base64.b64decode(proof) != right or f"r={self.nonce}" not in without:
            return "535 5.7.8 no"
        answer = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), b"x" if self.lies else signed, "sha256")
        self.state = "over"
        return "334 " + base64.b64encode(b"v=" + base64.b64encode(answer)).decode()


class Gone(Exception):
    """The connection is over."""


class Peer:
    def __init__(self, port, host="127.0.0.1", greeting="220 peer", ehlo=("PIPELINING", "8BITMIME", "SIZE 50000000"),
                 helo="250 peer", mail="250 2.1.0 ok", rcpt="250 2.1.5 ok", data="354 go on", end="250 2.0.0 taken",
                 auth=None, starttls=None, content=None, after="", window=None, pace=0, silent=False):
        self.replies = {"greeting": greeting, "helo": helo, "mail": mail, "rcpt": rcpt, "data": data, "end": end,
                        "auth": auth}
        self.ehlo, self.starttls, self.silent = ehlo, starttls, silent
        self.content, self.after, self.pace = content, after, pace
        self.mails, self.attempts, self.logins = [], [], []
        self.connections = self.open = 0
        self.lock = threading.Lock()
        self.sockets = set()
        self.server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if window:
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.server.bind((host, port))
        self.server.listen(1000)
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
        with self.lock:
            for s in self.sockets:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

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
        c = Connection(self, s)
        try:
            c.talk()
        except (OSError, Gone, ValueError):
            pass
        finally:
            with self.lock:
                self.open -= 1
                self.sockets.discard(s)
            with contextlib.suppress(OSError):
                c.socket.close()


class Connection:
    def __init__(self, peer, s):
        self.peer, self.socket, self.file = peer, s, s.makefile("rb")
        self.tls, self.helo, self.mail = False, "", None

    def say(self, reply, said=""):
        """Its first digit: b"" if there is none."""
        while callable(reply):
            reply = reply(said)
        if reply is None:
            raise Gone
        if isinstance(reply, (str, bytes)):
            reply = [reply]
        begin = b""
        for piece in reply:
            piece = piece.encode() + b"\r\n" if isinstance(piece, str) else piece
            begin = begin or piece[:1]
            self.socket.sendall(piece)
        return begin

    def answer(self, what, said=""):
        return self.say(self.peer.replies[what], said)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise Gone
        return line

    def talk(self):
        if self.peer.silent:
            while self.socket.recv(1000):
                pass
            return
        self.answer("greeting")
        handlers = {"EHLO": self.on_ehlo, "HELO": self.on_helo, "STARTTLS": self.on_starttls, "AUTH": self.on_auth,
                    "MAIL": self.on_mail, "RCPT": self.on_rcpt, "DATA": self.on_data, "RSET": self.on_rset,
                    "QUIT": self.on_quit}
        while True:
            word, _, rest = self.line().decode("utf-8", "replace").rstrip("\r\n").partition(" ")
            handlers.get(word.upper(), self.on_other)(rest)

    def on_other(self, rest):
        self.say("502 5.5.1 no")

    def on_helo(self, name):
        self.helo = name
        self.answer("helo", name)

    def on_ehlo(self, name):
        self.helo = name
        if not isinstance(self.peer.ehlo, (tuple, list)):
            self.say(self.peer.ehlo, name)
            return
        offers = ["peer", *self.peer.ehlo] + (["STARTTLS"] if self.peer.starttls and not self.tls else [])
        self.say("".join(f"250{'-' if o is not offers[-1] else ' '}{o}\r\n" for o in offers).encode())

    def on_starttls(self, rest):
        how, behind = self.peer.starttls, b""
        if isinstance(how, tuple):
            how, behind = how
        if not isinstance(how, ssl.SSLContext):
            if self.say(how) == b"2":
                raise Gone
            return
        self.say(b"220 go on\r\n" + behind)
        self.socket = how.wrap_socket(self.socket, server_side=True)
        self.file, self.tls = self.socket.makefile("rb"), True

    def on_auth(self, rest):
        self.peer.logins.append((rest, self.tls))
        auth = copy.copy(self.peer.replies["auth"])  # what it remembers is of this exchange
        reply = auth(rest) if callable(auth) else auth
        while reply and reply.startswith("334"):
            self.say(reply)
            reply = auth(self.line().decode().strip())
        self.say(reply)

    def on_mail(self, rest):
        sender, _, options = rest[len("FROM:<"):].partition(">")
        self.mail = Mail(sender, options.strip(), self.tls, self.helo)
        self.peer.attempts.append(self.mail)
        if self.answer("mail", sender) != b"2":
            self.mail = None

    def on_rcpt(self, rest):
        address, _, options = rest[len("TO:<"):].rpartition(">")
        if not self.mail:
            self.say("503 5.5.1 MAIL first")
            return
        self.mail.rcpt_options[address] = options.strip()
        if self.answer("rcpt", address) == b"2":
            self.mail.recipients.append(address)

    def on_data(self, rest):
        if not self.mail or not self.mail.recipients:
            self.say("554 5.5.1 nobody")
            return
        if self.answer("data") != b"3":
            return
        mail, self.mail = self.mail, None
        most = self.peer.content() if callable(self.peer.content) else self.peer.content
        octets = bytearray()
        while (line := self.line()) != b".\r\n":
            octets += line[1:] if line.startswith(b".") else line
            if most is not None and len(octets) > most:
                raise Gone
            if self.peer.pace:  # even a sleep of nothing lets all other threads go first
                time.sleep(self.peer.pace)
        mail.octets = bytes(octets)
        after = self.peer.after() if callable(self.peer.after) else self.peer.after
        if after is None:
            self.peer.mails.append(mail)
            raise Gone
        reply = self.peer.replies["end"]
        reply = reply(mail) if callable(reply) else reply
        # What is taken is known before it is said: whoever waits for it may look at once.
        if isinstance(reply, (str, bytes)) and reply[:1] in ("2", b"2"):
            self.peer.mails.append(mail)
            self.say(reply)
        elif self.say(reply) == b"2":
            self.peer.mails.append(mail)
        if after:
            self.say(after)

    def on_rset(self, rest):
        self.mail = None
        self.say("250 2.0.0 ok")

    def on_quit(self, rest):
        self.say("221 2.0.0 bye")
        raise Gone


class World:
    """Alice and Bob here, and a server of others, to which mail for world.example goes."""

    def __init__(self, instance):
        self.instance = instance
        port = instance.base + 5525
        instance.init(relay_port=port)
        for name in ("alice", "bob"):
            instance.add_account(name)
        (instance.dir / "relay.policy").write_text("world.example route=127.0.0.1\n")
        self.peer = Peer(port)
        instance.serve()

    def close(self):
        self.peer.close()
        self.instance.close()
