"""A stranger in the resolver's place: a program that has its channel to `ingest`, taken from the running process, and
answers whatever is asked. It can have mail pass or fail, as names are what a verdict is made of (docs/threats.md). It
cannot have `ingest` do anything else: what is no answer ends itself, and the mails that waited for it are judged by the
next one's answers or put off; what is asked for one message has an end, and no text of it gets out of its place."""
import contextlib
import pathlib
import re
import smtplib
import struct
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "script"))
import harness  # noqa: E402
import names  # noqa: E402
from test_subverted_ingest import ALICE, Channel  # noqa: E402

A, PTR, MX, TXT, AAAA = 1, 12, 15, 16, 28
REPLY = 100
PEER = "127.0.0.2"
pytestmark = pytest.mark.needs("root", "ss", *names.NEEDS)


def octets(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(text)) + text


def record(name="", data=b"", preference=0):
    return struct.pack(">HBBB", preference, 0, 0, 0) + octets(name) + octets(data)


def answer(kind, records=(), exists=True, trust=0, ttl=0, canonical="x.example"):
    return (struct.pack(">I", 0) + octets("") + struct.pack(">HBBI", kind, trust, exists, ttl) + octets(canonical) +
            struct.pack(">H", len(records)) + b"".join(records))


def texts(*said, **how):
    return answer(TXT, [record(data=s if isinstance(s, bytes) else s.encode()) for s in said], **how)


def nothing(kind):
    return answer(kind, exists=False)


class Liar(threading.Thread):
    """say(type, name): what is answered, any number of times; raises nothing."""

    def __init__(self, i, say):
        super().__init__()
        self.pid = i.pids("resolver")[0]
        self.channel, self.say = Channel(i, self.pid, "ingest"), say
        self.channel.socket.settimeout(0.2)
        self.asked, self.over = [], False

    def run(self):
        while not self.over:
            with contextlib.suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
                question = self.channel.socket.recv(70000)
                if not question:
                    return
                number, kind, length = struct.unpack(">QHI", question[4:18])
                name = question[18:18 + length].decode()
                self.asked.append((kind, name))
                for said in self.say(kind, name):
                    self.channel.socket.sendmsg([struct.pack(">IQ", REPLY, number) + said])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        self.join()
        self.channel.close()


@pytest.fixture(scope="module")
def i():
    """What is true: example's domains send nothing."""
    zone = '* TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'
    with names.start({"example": zone, "127.in-addr.arpa": ""}) as zones, harness.Instance() as i:
        i.init(**zones.settings(), auth_exempt="127.0.0.1", auth_unavailable="defer", ingest_instances=1)
        i.add_account("alice")
        yield i.serve()


def send(i, domain, extra=""):
    with smtplib.SMTP("127.0.0.1", i.port("smtp"), local_hostname="mx.example", source_address=(PEER, 0),
                      timeout=120) as s:
        try:
            s.sendmail(f"a@{domain}", [ALICE], harness.mail(sender=f"a@{domain}", extra=extra))
            return 250
        except smtplib.SMTPDataError as e:
            return e.smtp_code


def verdict(i):
    got = i.fetch_all(ALICE)
    opened = i.keyring.decrypt(harness.armor_of(got[max(got)]))
    return re.search(rb"^Authentication-Results: (.*(?:\r?\n[ \t].*)*)", opened, re.M).group(1)


def sends(domain, allowed):
    """Of a domain that sends by PEER, or not at all; anything else is not there."""
    said = {domain: f"v=spf1 ip4:{PEER} -all" if allowed else "v=spf1 exp=why.%{d} -all",
            f"_dmarc.{domain}": "v=DMARC1; p=reject",
            f"why.{domain}": b"no\r\n250 2.0.0 taken\r\n\0\x9b31m; dmarc=pass"}
    return lambda kind, name: [texts(said[name]) if kind == TXT and name in said else nothing(kind)]


@pytest.mark.parametrize("trust", [0, 1])
def test_a_verdict_is_worth_what_names_are(i, trust):
    """Whether it says that they are signed or not, for as long as it likes."""
    domain = f"bank{trust}.example"

    def say(kind, name):
        return [texts(f"v=spf1 ip4:{PEER} -all", trust=trust, ttl=0xffffffff)] if (kind, name) == (TXT, domain) else \
               sends(domain, True)(kind, name)
    with Liar(i, say):
        assert send(i, domain) == 250
        assert send(i, f"honest{trust}.example") == 250 and b"dmarc=none" in verdict(i)
        assert send(i, domain) == 250
    said = verdict(i)
    assert b"dmarc=pass" in said and b"spf=pass" in said and b"secure" not in said.lower()


def test_its_texts_stay_in_their_place(i):
    domain = "refused.example"
    with Liar(i, sends(domain, False)):
        assert send(i, domain) == 550
        i.configure(auth_reject="no", auth_junk="no")
        i.run("reload")
        try:
            assert send(i, domain) == 250
        finally:
            i.configure(auth_reject="yes", auth_junk="yes")
            i.run("reload")
    said = verdict(i)
    assert b"dmarc=fail" in said and b"pass" not in said and re.fullmatch(rb"[\t\r\n -~]*", said)


NO_ANSWERS = {
    "nothing at all": [b""],
    "a name with a NUL, more than once": [answer(TXT, canonical="x\0.example")] * 2,
}


@pytest.mark.parametrize("how", NO_ANSWERS)
def test_what_is_no_answer_ends_whoever_gave_it(i, how):
    """And nobody else: whose mail it is waits for the next resolver, and is told by the truth, or to come again. Each
    form of an answer is looked at in tests/unit/dns/test_dns.c."""
    domain, before = f"no{list(NO_ANSWERS).index(how)}.example", i.pids("ingest")
    with Liar(i, lambda kind, name: NO_ANSWERS[how]) as liar:
        assert send(i, domain) in (451, 550)
    assert i.logged(f"channel-ended role=resolver instance=0 pid={liar.pid} by=ingest", wait=120)
    end = time.monotonic() + 120
    while send(i, f"then.{domain}") != 550:  # the next one is there
        assert time.monotonic() < end
    assert i.pids("ingest") == before
    i.overlook_reports()


def test_one_message_asks_for_so_much(i):
    """Whatever its answers lead to: 10 look-ups of SPF for the sender and for the name of HELO, each of which may be an
    MX with 10 hosts (RFC 7208 section 4.6.4); 10 names of the peer; 10 signatures; a walk of 8 for DMARC."""
    fresh = iter(range(10 ** 6))

    def say(kind, name):
        n = [f"n{next(fresh)}.most.example" for _ in range(10)]
        return [{TXT: lambda: texts("v=spf1 " + " ".join(f"mx:{x} include:{x}" for x in n) + " -all"),
                 MX: lambda: answer(MX, [record(x) for x in n]),
                 PTR: lambda: answer(PTR, [record(x) for x in n]),
                 A: lambda: answer(A, [record(data=bytes([192, 0, 2, 1]))])}.get(kind, lambda: nothing(kind))()]
    signature = "DKIM-Signature: v=1; a=rsa-sha256; d=d%d.most.example; s=s; h=from; bh=YQ==; b=YQ==\r\n"
    with Liar(i, say) as liar:
        assert send(i, "many.most.example", "".join(signature % n for n in range(30))) in (250, 451, 550)
    assert 20 < len(liar.asked) <= 2 * (1 + 10 + 10 * 10) + 1 + 2 * 10 + 2 + 10 + 8, len(liar.asked)
    assert len(set(liar.asked)) == len(liar.asked)
