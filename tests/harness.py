"""An instance of the server for tests: made, filled, served, killed and looked into. Every listener is on loopback."""
import contextlib
import ctypes.util
import functools
import imaplib
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import tempfile
import time

import copies

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("LETTERLOCK_BINARY", str(ROOT / "build" / "letterlock"))
DOMAIN = "letterlock.test"
SERVICES = {"smtp": 25, "submissions": 465, "submission": 587, "imap": 143, "imaps": 993, "http": 80, "https": 443}
NAMES_PORT = 53  # tests/names.py: of the same base
WEB_PORT = 80    # tests/web.py, likewise


def released():
    """The binary as people run it, where what is measured or looked for is not what a sanitizer leaves of it."""
    sanitized = b"__asan_init" in pathlib.Path(BINARY).read_bytes()
    return ROOT / "build" / "letterlock" if sanitized else pathlib.Path(BINARY)


OPAQUE_CLIENT = ("@serenity-kit/opaque", "1.1.0")
PLAYWRIGHT = ("playwright-core", "1.65.1")


def fetched(script, *args):
    """Whether what a script fetches by npm is there, or can be had now."""
    return subprocess.run([ROOT / "tests/interop" / script, *args], capture_output=True).returncode == 0


# What a test may say that it needs (@pytest.mark.needs("root", "sq")): whether it is here. Other names are files, or
# programs.
NEEDS = {
    "root": lambda: os.geteuid() == 0,
    "the long run": lambda: bool(os.environ.get("LETTERLOCK_FULL")),
    "the corpus of real mail (npm)": lambda: bool(os.environ.get("LETTERLOCK_CORPUS")),
    "OpenPGP.js (npm)": lambda: bool(shutil.which("node")) and fetched("fetch_openpgpjs"),
    "@serenity-kit/opaque (npm)": lambda: bool(shutil.which("npm")) and fetched("fetch_npm", *OPAQUE_CLIENT),
    "playwright-core (npm)": lambda: bool(shutil.which("npm")) and fetched("fetch_npm", *PLAYWRIGHT),
    "the packages of webmail-api/web (npm)": lambda: bool(shutil.which("npm")) and fetched("fetch_web"),
    "imapflow and node-imap (npm)": lambda: bool(shutil.which("node")) and fetched("fetch_imap_libraries"),
    "Exim and OpenSMTPD (apt)": lambda: (all(map(ctypes.util.find_library, ("gnutls-dane", "idn")))  # Exim's
                                         and fetched("fetch_mtas")),
    "the released build": lambda: released().exists(),
}


@functools.lru_cache(None)
def here(need):
    if need in NEEDS:
        return NEEDS[need]()
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"  # where Debian keeps what servers bring
    return os.path.exists(need) if need.startswith("/") else bool(shutil.which(need, path=path))


def need(*names):
    """Skips the test that runs, with a word, where something is missing. The long run leaves nothing out but what needs
    root."""
    import pytest
    for name in names:
        if not here(name):
            (pytest.fail if here("the long run") and name != "root" else pytest.skip)(f"needs {name}")


_held = {}  # port base: its lock, until the instance is closed or this process ends


def free_base():
    """A port base whose usual ports are free, and which no other run of the tests beside this one takes meanwhile. All
    are below those that connections get by themselves; no two services are a multiple of the step apart."""
    for base in [10000 + (os.getpid() + n) % 108 * 200 for n in range(108)]:
        lock = socket.socket(socket.AF_UNIX)
        with contextlib.ExitStack() as stack:
            try:
                lock.bind(f"\0letterlock-test-ports-{base}")  # of no folder, so that other users' runs see it too
                for port in {*SERVICES.values(), NAMES_PORT, WEB_PORT}:
                    s = stack.enter_context(socket.socket())
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", base + port))
                _held[base] = lock
                return base
            except OSError:
                lock.close()
    raise RuntimeError("no free ports")


def release_base(base):
    lock = _held.pop(base, None)
    if lock:
        lock.close()


REPORT = re.compile(rb"^.*(?:ERROR: \w+Sanitizer|runtime error: ).*$", re.M)
_live = set()  # instances that are not closed


def no_report(text):
    """Fails the test that runs where a sanitizer has told of something."""
    found = REPORT.search(text)
    assert not found, "a sanitizer's report: " + text[found.start():][:4000].decode(errors="replace")


def look_for_reports():
    """In what the servers of this process have said since the last look."""
    for i in list(_live):
        i.no_report()


class Keyring:
    """A gpg home that holds readers' secret keys. Keys that take long to make are made once for a run of the tests, in
    the folder that LETTERLOCK_TEST_KEYS names (conftest.py)."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.made = set()

    def gpg(self, *args, data=None, check=True):
        base = ["gpg", "--homedir", str(self.path), "--batch", "--quiet", "--no-tty", "--trust-model", "always"]
        return subprocess.run([*base, *args], input=data, capture_output=True, check=check)

    def unasked(self, *args, **how):
        """What needs a secret key, none of which has a passphrase here."""
        return self.gpg("--pinentry-mode", "loopback", "--passphrase", "", *args, **how)

    def generate(self, address, algo="future-default"):
        if algo == "rsa":
            self.generate_rsa(address)
        elif algo == "rsa4096":  # so long that what is published of it does not fit into its entry
            self.unasked("--quick-gen-key", address, algo)
            self.unasked("--quick-add-key", self.fingerprint(address), algo, "encr")
        else:
            self.unasked("--quick-gen-key", address, algo)
        return self.export(address)

    def generate_rsa(self, address):
        pool = os.environ.get("LETTERLOCK_TEST_KEYS")
        kept = pathlib.Path(pool or "", address.replace("/", "_"))
        if pool and kept.exists() and address not in self.made:  # a second one of its own is another
            self.unasked("--import", str(kept))
        else:
            self.unasked("--quick-gen-key", address, "rsa2048")
            self.unasked("--quick-add-key", self.fingerprint(address), "rsa2048", "encr")
            if pool and address not in self.made:
                with tempfile.NamedTemporaryFile(dir=pool, delete=False) as f:
                    f.write(self.secret(address))
                os.rename(f.name, kept)
        self.made.add(address)

    def fingerprint(self, address):
        out = self.gpg("--with-colons", "--list-keys", address).stdout.decode()
        return re.search(r"^fpr:+([0-9A-F]+):", out, re.M).group(1)

    def export(self, address):
        return self.gpg("--armor", "--export", address).stdout

    def secret(self, who, *options):
        return self.unasked(*options, "--export-secret-keys", who).stdout

    def import_file(self, path):
        self.gpg("--import", str(path))

    def decrypt(self, armored):
        return self.gpg("--decrypt", data=armored).stdout

    def close(self):
        subprocess.run(["gpgconf", "--homedir", str(self.path), "--kill", "all"], check=False, capture_output=True)


def place_in_memory():
    """A new folder, in memory where there is enough: what a test waits for then is the server, and not a disk that
    others use too. Tests of crashes and of a full disk have theirs on a disk."""
    memory = pathlib.Path("/dev/shm")
    room = memory.is_dir() and shutil.disk_usage(memory).free >= 4 << 30
    return tempfile.mkdtemp(prefix="letterlock-test-", dir=memory if room else None)


def place_on_disk():
    """A new folder on a disk, where those of the peers that are measured beside us are too."""
    return tempfile.mkdtemp(prefix="letterlock-bench-", dir="/var/tmp")


def armor_of(rendered):
    """The armour block of a rendered message."""
    begin = rendered.index(b"-----BEGIN PGP MESSAGE-----")
    end = rendered.index(b"-----END PGP MESSAGE-----") + len(b"-----END PGP MESSAGE-----")
    return rendered[begin:end] + b"\n"


class Instance:
    """letterlock in a folder of its own."""

    def __init__(self, place=None, binary=BINARY, base=None, domain=DOMAIN, web=False, anew=False):
        self.domain = domain
        self.web = web  # whether it serves HTTP
        # anew: with keys that no other instance of this run has.
        self.place = pathlib.Path(place or place_in_memory())
        self.place.mkdir(exist_ok=True)
        self.place.chmod(0o711)
        self.dir = self.place / "server"
        self.binary = binary
        self.base = base or free_base()
        self.process = None
        self.looked_at = 0  # octets of the log in which a sanitizer's report was looked for
        self.passwords = {}
        self.turn_ms = 0  # as configured otherwise
        self.keyring = Keyring(tempfile.mkdtemp(prefix="letterlock-gpg-", dir="/dev/shm"))
        self.env = dict(os.environ, LETTERLOCK_DIR=str(self.dir))
        self.copies = copies.Copies(self, not place and not anew and os.geteuid() == 0)
        _live.add(self)

    # The command line

    def run(self, *args, check=True, data=None, timeout=120):
        command = [self.binary, *map(str, args)]
        self.copies.over()
        p = subprocess.run(command, env=self.env, input=data, capture_output=True, timeout=timeout)
        no_report(p.stderr)
        if check and p.returncode:
            raise AssertionError(f"{command[1:]}: exit {p.returncode}: {p.stderr.decode()}{p.stdout.decode()[-2000:]}")
        return p

    def init(self, **settings):
        # The kernel counts processes by uid: tests that run beside one another would share the limit of the gpg roles.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        # A command without a server, and a server that begins, write nothing before reader_turn_ms is over: it is short
        # until the server has its own.
        self.turn_ms = settings.get("reader_turn_ms", 200)
        self.copies.step("init", lambda: self.run("init", "--domain", self.domain, "--loopback", self.base,
                                                "--store-key-file", self.place / "storekey"))
        # No account's limits: tests send as nobody does. A build to compare with may not know them yet.
        known = (self.dir / "letterlock.conf").read_text()
        limits = [n for n in ("send_messages_day", "send_recipients_day", "send_new_recipients_day",
                              "send_messages_minute") if n in known]
        sessions = [n for n in ("smtp_sessions_account",) if n in known]
        web = [n for n in ("http", "https") if not self.web and re.search(rf"^#? *{n} =", known, re.M)]
        judged = ["auth_exempt"] if "auth_exempt" in known else []  # names that a test makes up resolve nowhere
        self.configure(**{**dict.fromkeys(judged, "0.0.0.0/0, ::/0"),
                          "imap_plain_auth_loopback": "yes", "role_uid_base": 61800 + 100 * int(worker),
                          **dict.fromkeys(limits, 0), **dict.fromkeys(sessions, 1000),
                          **dict.fromkeys(web, "no"), **settings,
                          "reader_turn_ms": min(self.turn_ms, 100)})
        return self

    def configure(self, **settings):
        path = self.dir / "letterlock.conf"
        text = path.read_text()
        for name, value in settings.items():
            text, found = re.subn(rf"^#?\s*{name}\s*=.*\n", lambda _: f"{name} = {value}\n", text, flags=re.M)
            text += "" if found else f"\n{name} = {value}\n"
        alike = self.copies.untouched()
        path.write_text(text)
        if alike:
            self.copies.look()

    def add_account(self, name, algo="future-default", **options):
        address = name if "@" in name else f"{name}@{self.domain}"
        self.copies.step([address, algo, sorted(options.items())],
                       lambda: self.really_add_account(address, algo, options))
        return address

    def really_add_account(self, address, algo, options):
        cert = self.place / f"{address}.cert.asc"
        cert.write_bytes(self.keyring.generate(address, algo))
        args = [x for k, v in options.items() for x in (f"--{k.replace('_', '-')}", v)]
        self.run("account", "add", address, "--key", cert, *args)
        self.app_password(address)

    def app_password(self, address):
        """So that the account can log in. Returns the address."""
        made = self.run("app-password", "add", address, "--label", "test")
        self.passwords[address] = made.stdout.decode().strip()
        return address

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def pids(self, role):
        """Of those that run now; one that is just being restarted has none."""
        return [r["pid"] for r in self.status().get("roles", []) if r["role"] == role and r["pid"]]

    def counters(self, role):
        """Of all its processes together; {} as long as one of them says nothing."""
        each = [r["counters"] for r in self.status().get("roles", []) if r["role"] == role]
        return {name: sum(c.get(name, 0) for c in each) for name in each[0]} if all(each) and each else {}

    # Serving

    def serve(self, wait=60, wrapper=(), **options):
        if self.turn_ms > 100:
            self.configure(reader_turn_ms=self.turn_ms)
        self.copies.over()
        log = open(self.place / "log", "ab")
        start = (self.place / "log").stat().st_size
        self.process = subprocess.Popen([*wrapper, self.binary, "serve"], env=self.env, stdout=log, stderr=log,
                                        start_new_session=True, **options)
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError("serve ended: " + self.log()[-3000:])
            if re.search(rb"(^|\s)ready\s*$", (self.place / "log").read_bytes()[start:], re.M):
                return self
            time.sleep(0.02)
        raise AssertionError("serve is not ready: " + self.log()[-3000:])

    def stop(self, timeout=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("serve did not end on SIGTERM: " + self.log()[-3000:])
        code = self.process.returncode if self.process else None
        self.process = None
        return code

    def kill(self):
        """kill -9 of every process at once."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def log(self):
        return (self.place / "log").read_text(errors="replace") if (self.place / "log").exists() else ""

    def logged(self, pattern, start=0, wait=10):
        """The match of pattern in the log from its character start on, as soon as it is there: a role's words go by
        master, so they come a moment after what they tell of."""
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if found := re.search(pattern, self.log()[start:], re.M):
                return found
            time.sleep(0.02)
        raise AssertionError(f"the log does not say {pattern}: " + self.log()[start:][-3000:])

    def overlook_reports(self):
        """For deaths that a test has brought about."""
        self.looked_at = (self.place / "log").stat().st_size

    def no_report(self):
        if (self.place / "log").exists():
            with open(self.place / "log", "rb") as log:
                log.seek(self.looked_at)
                said = log.read()
            self.looked_at += said.rfind(b"\n") + 1  # half a line is looked at again
            no_report(said)

    def close(self):
        _live.discard(self)
        with contextlib.suppress(Exception):
            self.stop()
        self.kill()
        try:
            self.no_report()
        finally:
            self.keyring.close()
            shutil.rmtree(self.keyring.path, ignore_errors=True)
            shutil.rmtree(self.place, ignore_errors=True)
            release_base(self.base)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # Clients

    def port(self, service):
        return self.base + SERVICES[service]

    def smtp(self, timeout=60):
        return smtplib.SMTP("127.0.0.1", self.port("smtp"), local_hostname="client.example", timeout=timeout)

    def send(self, recipients, message, sender="sender@example.org"):
        """message: bytes with CRLF lines. Returns smtplib's dictionary of refused recipients."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        with self.smtp() as s:
            return s.sendmail(sender, recipients, message, mail_options=["BODY=8BITMIME"])

    def submission(self, address, timeout=60):
        """Logged in, over TLS."""
        context = ssl._create_unverified_context()
        s = smtplib.SMTP_SSL("127.0.0.1", self.port("submissions"), local_hostname="laptop.home", context=context,
                             timeout=timeout)
        s.login(address, self.passwords[address])
        return s

    def imap(self, address, tls=False, timeout=60):
        if tls:
            context = ssl._create_unverified_context()
            m = imaplib.IMAP4_SSL("127.0.0.1", self.port("imaps"), ssl_context=context, timeout=timeout)
        else:
            m = imaplib.IMAP4("127.0.0.1", self.port("imap"), timeout=timeout)
        m.login(address, self.passwords[address])
        return m

    def fetch_all(self, address, mailbox="INBOX"):
        """Every rendered message of a mailbox, by UID."""
        m = self.imap(address)
        try:
            m.select(f'"{mailbox}"', readonly=True)
            out = {}
            typ, data = m.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
            for part in data:
                if isinstance(part, tuple):
                    out[int(re.search(rb"UID (\d+)", part[0]).group(1))] = part[1]
            return out
        finally:
            m.logout()

    def unseal(self, rendered):
        """What the sender sent: decrypted by gpg, undone by letterlock unseal."""
        return self.run("unseal", data=self.keyring.decrypt(armor_of(rendered))).stdout


def crlf(text):
    """Text with any line ends as bytes with CRLF."""
    data = text.encode() if isinstance(text, str) else text
    return re.sub(rb"\r?\n", b"\r\n", data)


def mail(subject="A subject", body="A body.\n", sender="sender@example.org", to=f"alice@{DOMAIN}", extra=""):
    return crlf(f"From: {sender}\nTo: {to}\nSubject: {subject}\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n"
                f"Message-ID: <{os.urandom(8).hex()}@example.org>\n{extra}\n{body}")
