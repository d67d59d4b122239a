"""Names for tests: a real name server (NSD) on loopback, with zones that may be signed.

    with names.start({"test": '''
        @       MX 10 mx
        mx      A 127.0.0.1
        ''', "127.in-addr.arpa": "1.0.0 PTR mx.test."}, signed=["test"]) as n:
        i.init(**n.settings())          # an instance whose resolver asks there
        n.change("test", "@ MX 10 other.example.")

A zone's text needs no SOA, NS, $ORIGIN or $TTL: what is missing is put before it. A zone of zones that is named in
signed is signed with a key of its own, and settings() has that key trusted. Zones below a signed zone that are there
too are delegated to the same server by the text's own NS and DS records (ds() gives the DS). signatures="expired" makes
signatures that ended a day ago, expired=[ZONE] those of one zone alone. n.stop() and n.go() let the server be silent
and answer again, n.close() ends it. It listens on base + 53 by UDP and TCP, on 127.0.0.1 alone."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness

PORT = harness.NAMES_PORT
NEEDS = ("nsd", "ldns-signzone")  # @pytest.mark.needs(*names.NEEDS)
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
HEAD = """$ORIGIN {zone}.
$TTL {ttl}
@ SOA ns.{zone}. hostmaster.{zone}. {serial} 3600 900 604800 {ttl}
@ NS ns.{zone}.
ns A 127.0.0.1
"""


def start(zones, signed=(), **options):
    return Names(zones, signed, **options)


class Names:
    def __init__(self, zones, signed=(), signatures="good", ttl=300, base=None, expired=()):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="letterlock-names-"))
        self.base = base or harness.free_base()
        self.held = base is None
        self.port = self.base + PORT
        self.signed = list(signed)
        self.ttl = ttl
        self.signatures = signatures
        self.expired = list(expired)
        self.serial = 0
        self.keys = {}
        self.process = None
        self.zones = dict(zones)
        try:
            for zone in self.signed:
                self._make_key(zone)
            for zone, text in zones.items():
                self._write(zone, text)
            self._configure()
            self.go()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _run(self, *args):
        p = subprocess.run(args, cwd=self.place, capture_output=True, text=True, env={**os.environ, "PATH": PATH})
        assert p.returncode == 0, (args, p.stderr)
        return p.stdout.strip()

    def _make_key(self, zone):
        self.keys[zone] = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone)

    def ds(self, zone):
        """Its DS record, as the zone above has it."""
        return self._run("ldns-key2ds", "-n", "-2", f"{self.keys[zone]}.key")

    def anchors(self, *zones):
        """The text of a file for dns_anchor_file."""
        return "".join(self.ds(zone) + "\n" for zone in zones or self.signed)

    def _write(self, zone, text):
        self.serial += 1
        text = re.sub(r"^[ \t]+", "", text, flags=re.M)
        file = self.place / f"{zone}.zone"
        file.write_text(HEAD.format(zone=zone, ttl=self.ttl, serial=self.serial) + text + "\n")
        if zone in self.signed:
            now = int(time.time())
            begin, end = (-30, -3) if self.signatures == "expired" or zone in self.expired else (-1, 30)
            day = lambda n: time.strftime("%Y%m%d%H%M%S", time.gmtime(now + n * 86400))  # noqa: E731
            self._run("ldns-signzone", "-n", "-i", day(begin), "-e", day(end), "-o", zone, "-f", f"{zone}.new", file,
                      self.keys[zone])
        else:
            shutil.copy(file, self.place / f"{zone}.new")
        os.replace(self.place / f"{zone}.new", self.place / f"{zone}.served")

    def _configure(self):
        zones = "".join(f'zone:\n  name: "{zone}"\n  zonefile: "{zone}.served"\n' for zone in self.zones)
        (self.place / "nsd.conf").write_text(f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.place}"
  database: ""
  pidfile: "{self.place}/pid"
  xfrdfile: "{self.place}/xfrd"
  xfrdir: "{self.place}"
  zonelistfile: "{self.place}/zones"
  logfile: "{self.place}/log"
  server-count: 1
  rrl-ratelimit: 0
  zonefiles-check: yes
remote-control:
  control-enable: no
{zones}""")

    def settings(self):
        """Of the configuration: every zone is asked for here, and the signed ones' keys are trusted."""
        (self.place / "anchors").write_text(self.anchors() if self.signed else "")
        self.place.chmod(0o755)
        return {"dns_stub": ", ".join(f"{zone} 127.0.0.1@{self.port}" for zone in self.zones),
                "dns_anchor_file": self.place / "anchors" if self.signed else ""}

    def change(self, zone, text, **how):
        """Another text for a zone, or a signed zone signed otherwise; served when this returns. What a resolver keeps,
        it keeps."""
        self.change_all({zone: text}, **how)

    def change_all(self, zones, **how):
        self.signatures = how.get("signatures", self.signatures)
        for zone, text in zones.items():
            self._write(zone, text)
        self.close_server()
        self.go()

    def go(self):
        """Starts it, or lets one that was stopped go on."""
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            for pid in self._children():
                os.kill(pid, signal.SIGCONT)
            return
        self.process = subprocess.Popen([shutil.which("nsd", path=PATH), "-d", "-c", self.place / "nsd.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not self._answers():
            log = self.place / "log"
            assert self.process.poll() is None and time.monotonic() < end, log.read_text() if log.exists() else "no nsd"

    def _answers(self):
        """To a question for its first zone's SOA."""
        labels = b"".join(bytes([len(x)]) + x.encode() for x in next(iter(self.zones)).split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.connect(("127.0.0.1", self.port))
                s.send(b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\6\0\1")
                reply = s.recv(4096)
            except OSError:
                time.sleep(0.05)
                return False
        return reply[:2] == b"\x12\x34" and reply[3] & 15 == 0

    def _children(self):
        out = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        below = [subprocess.run(["pgrep", "-P", p], capture_output=True, text=True).stdout.split() for p in out]
        return [int(p) for p in [*out, *sum(below, [])]]

    def stop(self):
        """Silent from now on: nobody is refused, nobody answered."""
        for pid in [self.process.pid, *self._children()]:
            os.kill(pid, signal.SIGSTOP)

    def close_server(self):
        """Gone: whoever asks is refused (ICMP)."""
        if self.process:
            self.go()
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def close(self):
        self.close_server()
        if self.held:
            harness.release_base(self.base)
        shutil.rmtree(self.place, ignore_errors=True)
