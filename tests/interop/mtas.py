"""Debian's mail servers as neighbours on loopback: Postfix as it is installed, Exim and OpenSMTPD unpacked, each in a
mount namespace with its own users, configuration and spool. A neighbour takes mail for its domain into files, and hands
on what is for other domains to the ports that it is told. They need root."""
import contextlib
import pathlib
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

import harness

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Greylist(socketserver.ThreadingTCPServer):
    """What Postfix asks at each RCPT (SMTPD_POLICY_README): of whom it has not heard yet it is to say 450."""
    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            asked = {}
            for line in self.rfile:
                name, _, value = line.decode().rstrip("\n").partition("=")
                if name:
                    asked[name] = value
                    continue
                triple = (asked["client_address"], asked["sender"], asked["recipient"])
                known = triple in self.server.known
                self.server.known.append(triple)
                self.wfile.write(f"action={'dunno' if known else 'defer 4.2.0 greylisted'}\n\n".encode())
                asked = {}

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.known = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Neighbour:
    """domain: whose mail it keeps. routes: {domain: port} of others'. tls: it has a certificate and offers STARTTLS."""

    USERS = ()  # (name, uid): of its own
    UNPACKED = None  # folder of fetch_mtas

    def __init__(self, domain, routes=(), tls=True):
        self.domain, self.routes, self.tls = domain, dict(routes), tls
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="neighbour-", dir="/var/tmp"))
        self.place.chmod(0o755)
        self.port = free_port()
        self.mails = self.place / "mails"
        self.mails.mkdir()
        self.mails.chmod(0o777)
        if tls:
            self.certify()
        (self.place / "start").write_text(self.script())
        self.log = open(self.place / "log", "wb")
        apart = ["unshare", "--mount", "--fork", "--pid", "--kill-child"]
        self.process = subprocess.Popen([*apart, "sh", "-eu", self.place / "start"], stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        try:
            self.await_greeting()
        except BaseException:
            self.close()
            raise

    def certify(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj",
                        f"/CN=mx.{self.domain}", "-addext", f"subjectAltName=DNS:mx.{self.domain}",
                        "-keyout", self.place / "key.pem", "-out", self.place / "cert.pem"], check=True,
                       capture_output=True)
        (self.place / "key.pem").chmod(0o600)

    def script(self):
        """What its namespace begins with."""
        lines = ["mount --make-rprivate /", "mount -t proc proc /proc", f"mkdir -p {self.place}/top",
                 f"mount -t tmpfs tmpfs {self.place}/top"]
        for folder in ("etc", "var"):
            top = f"{self.place}/top/{folder}"
            lines += [f"mkdir -p {top}.up {top}.work {top}.all",
                      f"mount -t overlay overlay -o lowerdir=/{folder},upperdir={top}.up,workdir={top}.work {top}.all"]
        if self.UNPACKED:
            unpacked = pathlib.Path(subprocess.run([HERE / "fetch_mtas"], check=True, capture_output=True,
                                                   text=True).stdout.strip()) / self.UNPACKED
            lines.append(f"mount -t overlay overlay -o lowerdir={unpacked}/usr:/usr /usr")
        # /var/tmp, where this neighbour's own files are, stays what it is.
        lines += [f"mount --bind {self.place}/top/etc.all /etc", f"mkdir -p {self.place}/top/var.all/tmp",
                  f"mount --rbind /var/tmp {self.place}/top/var.all/tmp",
                  f"mount --rbind {self.place}/top/var.all /var"]
        for name, uid in self.USERS:
            lines += [f"echo {name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin >>/etc/passwd",
                      f"echo {name}:x:{uid}: >>/etc/group"]
        return "\n".join([*lines, *self.begin()]) + "\n"

    def begin(self):
        raise NotImplementedError

    def await_greeting(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                with smtplib.SMTP("127.0.0.1", self.port, timeout=10):
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"{type(self).__name__} does not start: " + (self.place / "log").read_text()[-3000:])

    def received(self):
        """The mails that it keeps, as octets with LF, the oldest first."""
        files = [p for p in self.mails.rglob("*") if p.is_file() and "tmp" not in p.parts[len(self.mails.parts):]]
        return [p.read_bytes() for p in sorted(files, key=lambda p: p.stat().st_mtime)]

    def awaited(self, n, wait=60):
        end = time.monotonic() + wait
        while time.monotonic() < end and len(self.received()) < n:
            time.sleep(0.1)
        return self.received()

    def send(self, recipient, message, sender=None):
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=60) as s:
            return s.sendmail(sender or f"bob@{self.domain}", [recipient], message)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Postfix(Neighbour):
    """resolver: (address, domain, port): it verifies by DANE what this name server on port 53, which validates, says of
    a domain whose mail goes to that port."""

    def __init__(self, *args, greylist=None, resolver=None, **options):
        self.greylist, self.resolver = greylist, resolver
        super().__init__(*args, **options)

    def begin(self):
        spool, data, etc = (self.place / n for n in ("spool", "data", "etc"))
        for d in (spool, data, etc):
            d.mkdir()
        (etc / "transport").write_text("".join(f"{d} smtp:[127.0.0.1]:{p}\n" for d, p in self.routes.items()))
        tls = (f"smtpd_tls_cert_file = {self.place}/cert.pem\nsmtpd_tls_key_file = {self.place}/key.pem\n"
               "smtpd_tls_security_level = may\n") if self.tls else "smtpd_tls_security_level = none\n"
        names = []
        dane = "smtp_tls_security_level = may"
        if self.resolver:
            address, domain, port = self.resolver
            # A process of it keeps TLSA records as long as it lives.
            dane = ("smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\nsmtp_tls_loglevel = 1\n"
                    "max_use = 1")
            (etc / "transport").write_text(f"{domain} smtp:{domain}:{port}\n")
            names = [f"rm -f /etc/resolv.conf; echo nameserver {address} >/etc/resolv.conf"]
        asks = f"check_policy_service inet:127.0.0.1:{self.greylist}, " if self.greylist else ""
        (etc / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.{self.domain}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {self.domain}
virtual_mailbox_base = {self.mails}
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
transport_maps = texthash:{etc}/transport
mynetworks = 127.0.0.0/8
{dane}
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
maillog_file = {self.place}/maillog
maillog_file_prefixes = /var/tmp
smtpd_tls_received_header = yes
smtputf8_enable = yes
smtpd_recipient_restrictions = {asks}permit_mynetworks
{tls}""")
        services = []
        for line in pathlib.Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            fields = line.split()
            if len(fields) >= 8 and not line.startswith(("#", " ")):
                if fields[0] == "smtp" and fields[1] == "inet":
                    fields[0] = f"127.0.0.1:{self.port}"
                fields[4] = "n"  # no chroot
                line = " ".join(fields)
            services.append(line)
        (etc / "master.cf").write_text("\n".join(services) + "\n")
        return [*names, f"chown postfix {data}", f"postfix -c {etc} set-permissions >/dev/null 2>&1 || true",
                f"postfix -c {etc} check 2>/dev/null || true", f"exec postfix -c {etc} start-fg"]


class Exim(Neighbour):
    USERS = (("Debian-exim", 64801),)
    UNPACKED = "exim"

    def begin(self):
        routes = " : ".join(f"{d} 127.0.0.1::{p}" for d, p in self.routes.items())
        tls = (f"tls_advertise_hosts = *\ntls_certificate = /etc/exim4/cert.pem\ntls_privatekey = /etc/exim4/key.pem\n"
               if self.tls else "tls_advertise_hosts =\n")
        (self.place / "exim.conf").write_text(f"""
primary_hostname = mx.{self.domain}
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
smtputf8_advertise_hosts =
qualify_domain = {self.domain}
domainlist ours = {self.domain}
acl_smtp_rcpt = accept
acl_smtp_data = accept
never_users =
log_file_path = {self.place}/%slog
{tls}
begin acl
accept:
  accept
begin routers
ours:
  driver = accept
  domains = +ours
  transport = keep
others:
  driver = manualroute
  route_list = {routes.replace(" : ", " ; ") or "nowhere.invalid 127.0.0.1"}
  transport = remote
  self = send
begin transports
keep:
  driver = appendfile
  directory = {self.mails}/all
  maildir_format
  create_directory
  user = nobody
  group = nogroup
  delivery_date_add
  envelope_to_add
  return_path_add
remote:
  driver = smtp
  hosts_try_fastopen =
begin retry
* * F,1h,2s
""")
        files = ["cert.pem", "key.pem"] if self.tls else []
        owned = ["/var/spool/exim4", "/var/log/exim4", *(f"/etc/exim4/{f}" for f in files)]
        return ["mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4",
                f"cp {self.place}/exim.conf /etc/exim4/exim4.conf",
                *(f"cp {self.place}/{f} /etc/exim4/" for f in files),
                "chown -R Debian-exim:Debian-exim " + " ".join(owned),
                f"chmod 777 {self.place}", "exec exim4 -bdf -q2s"]


class OpenSMTPD(Neighbour):
    USERS = (("opensmtpd", 64802), ("opensmtpq", 64803), ("keeper", 64804))
    UNPACKED = "opensmtpd"

    def begin(self):
        ports = enumerate(self.routes.values())
        relays = "".join(f'action "to{i}" relay host smtp://127.0.0.1:{p}\n' for i, p in ports)
        matches = "".join(f'match from any for domain "{d}" action "to{i}"\n' for i, d in enumerate(self.routes))
        tls = f"pki p cert \"/etc/smtpd/cert.pem\"\npki p key \"/etc/smtpd/key.pem\"\n" if self.tls else ""
        (self.place / "smtpd.conf").write_text(f"""
{tls}table users {{ "@" = "keeper" }}
listen on 127.0.0.1 port {self.port} {"tls pki p" if self.tls else ""} hostname mx.{self.domain}
action "keep" maildir "{self.mails}" virtual <users>
{relays}match from any for domain "{self.domain}" action "keep"
{matches}""")
        files = ["cert.pem", "key.pem"] if self.tls else []
        return ["mount -t tmpfs tmpfs /run", "mkdir -p /etc/smtpd /var/spool/smtpd /var/lib/opensmtpd/empty",
                "chmod 711 /var/spool/smtpd", *(f"install -m 600 {self.place}/{f} /etc/smtpd/" for f in files),
                f"install -m 644 {self.place}/smtpd.conf /etc/smtpd.conf", "exec smtpd -d"]


ALL = {"postfix": Postfix, "exim": Exim, "opensmtpd": OpenSMTPD}
