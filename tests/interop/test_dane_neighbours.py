"""DANE (RFC 7672) with Postfix as the other side, both ways: it sends to us by the TLSA record that `domain dns`
prints, and we send to it by one of its certificate; with a record of another key neither does."""
import re
import subprocess
import time

import harness
import mtas
import names
import peers
import pytest

pytestmark = pytest.mark.needs("root", "postfix", "unbound", *names.NEEDS)
LOCAL = f"alice@{harness.DOMAIN}"
NAMES = "127.0.8.53"  # Postfix asks at port 53 alone
WRONG = "3 1 1 " + "ab" * 32


class Validating:
    """unbound, which believes what the test's zones are signed with."""

    def __init__(self, place, zones):
        (place / "anchors").write_text(zones.anchors())
        stubs = "".join(f'stub-zone:\n  name: "{z}"\n  stub-addr: 127.0.0.1@{zones.port}\n' for z in zones.zones)
        (place / "unbound.conf").write_text(f"""server:
  interface: {NAMES}
  do-not-query-localhost: no
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{place}"
  pidfile: ""
  use-syslog: no
  logfile: "{place}/unbound.log"
  trust-anchor-file: "{place}/anchors"
  local-zone: "test." nodefault
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
remote-control:
  control-enable: no
{stubs}""")
        self.process = subprocess.Popen(["unbound", "-d", "-c", place / "unbound.conf"], env={"PATH": names.PATH})

    def close(self):
        self.process.terminate()
        self.process.wait(30)


class World:
    def __init__(self, i, place):
        self.i = i
        self.names = names.start({"test": ""}, ["test"], ttl=1)
        self.validating = self.postfix = None
        try:
            self.validating = Validating(place, self.names)
            self.postfix = mtas.Postfix("postfix.test", resolver=(NAMES, harness.DOMAIN, i.port("smtp")))
        except BaseException:
            self.close()
            raise

    def publish(self, ours=None, theirs=None):
        """Their TLSA records: as they should be, or WRONG."""
        printed = self.i.run("domain", "dns", self.i.domain_name).stdout.decode()
        data = re.search(r"^_25\._tcp\.\S+\s+IN TLSA (3 1 1 \w+)$", printed, re.M)[1]
        chain = self.postfix.place / "cert.pem"
        label = harness.DOMAIN.removesuffix(".test")
        self.names.change("test", f"""
            {label} MX 10 mx.{label}
            mx.{label} A 127.0.0.1
            _{self.i.port('smtp')}._tcp.mx.{label} TLSA {ours or data}
            postfix MX 10 mx.postfix
            mx.postfix A 127.0.0.1
            _{self.postfix.port}._tcp.mx.postfix TLSA {theirs or peers.tlsa(chain, 3, 1, 1)}
            """)

    def close(self):
        for one in (self.postfix, self.validating, self.names):
            if one:
                one.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with harness.Instance() as i:
        i.domain_name = f"mx.{harness.DOMAIN}"
        i.init(domain=i.domain_name)
        i.add_account("alice")
        w = World(i, tmp_path_factory.mktemp("dane"))
        try:
            i.configure(**w.names.settings(), relay_port=w.postfix.port, queue_retry=1, queue_retry_max=2)
            w.publish()
            i.serve()
            yield w
        finally:
            w.close()


def until(what, said):
    end = time.monotonic() + 90
    while not (found := what()):
        assert time.monotonic() < end, said()
        time.sleep(0.2)
    return found


def message(sender, to, subject):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n\r\n"
            "text\r\n").encode()


def test_postfix_knows_us_by_our_record(world):
    """It keeps what it has while the record is another key's, and brings it once that is right."""
    def log():
        return (world.postfix.place / "maillog").read_text()
    world.publish(ours=WRONG)
    world.postfix.send(LOCAL, message("bob@postfix.test", LOCAL, "in"))
    until(lambda: "no matching DANE TLSA records" in log(), lambda: log()[-3000:])
    assert world.i.fetch_all(LOCAL) == {}
    world.publish()
    until(lambda: world.i.fetch_all(LOCAL), lambda: log()[-3000:])
    assert re.search(r"Verified TLS connection established to mx\." + re.escape(harness.DOMAIN), log())


def submit(world, subject):
    to = "carol@postfix.test"
    start = len(world.i.log())
    with world.i.submission(LOCAL) as s:
        assert s.sendmail(LOCAL, [to], message(LOCAL, to, subject)) == {}
    return start


def test_we_know_postfix_by_its_record(world):
    world.publish()
    start = submit(world, "out")
    assert world.i.logged(r"outgoing fate=(\w+) .*tls=(\S+) ", start, wait=90).groups() == ("sent", "dane")
    assert len(world.postfix.awaited(1)) == 1
    world.publish(theirs=WRONG)
    world.i.stop()  # what its resolver keeps goes with it
    world.i.serve()
    start = submit(world, "not-out")
    found = world.i.logged(r"outgoing fate=(\w+) reply=\d+ status=(\S+)", start, wait=90)
    assert found.groups() == ("deferred", "4.7.5")
    assert len(world.postfix.received()) == 1


def test_requiretls_comes_back_from_one_that_does_not_know_it(world):
    world.publish()
    world.i.stop()
    world.i.serve()
    start = len(world.i.log())
    to = "carol@postfix.test"
    with world.i.submission(LOCAL) as s:
        assert s.sendmail(LOCAL, [to], message(LOCAL, to, "must"), mail_options=["REQUIRETLS"]) == {}
    found = world.i.logged(r"outgoing fate=failed reply=\d+ status=(\S+) .*tls=(\S+) ", start, wait=90)
    assert found[1] == "5.7.30" and not any(b"Subject: must" in m for m in world.postfix.received())
