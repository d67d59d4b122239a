"""DMARC reports that others send to dmarc-reports@DOMAIN: counted once, kept as numbers, shown by `domain report`. The
shapes are those in which large receivers send them."""
import datetime
import email.message
import email.policy
import gzip
import io
import itertools
import json
import os
import re
import signal
import threading
import time
import zipfile

import pytest

import harness
import names

pytestmark = pytest.mark.needs(*names.NEEDS)
DOMAIN, OTHER = harness.DOMAIN, "other.test"
TO = f"dmarc-reports@{DOMAIN}"
ALICE = f"alice@{DOMAIN}"
REPORTERS = {name: f"192.0.2.{n}" for n, name in enumerate(("google", "microsoft", "yahoo", "fastmail", "second"), 1)}
ZONE = "".join(f'{name} TXT "v=spf1 ip4:{address} ip4:198.51.100.{address[-1]} -all"\n'
               f'_dmarc.{name} TXT "v=DMARC1; p=reject"\n' for name, address in REPORTERS.items()) + """
doubtful TXT "v=spf1 -all"
_dmarc.doubtful TXT "v=DMARC1; p=quarantine"
"""
STRANGERS = (f"203.0.{n // 250}.{n % 250 + 1}" for n in itertools.count(256 * 40))
YESTERDAY = int(time.time()) // 86400 * 86400 - 86400
DAY = time.strftime("%Y-%m-%d", time.gmtime(YESTERDAY))
MONTH = DAY[:7]


@pytest.fixture(scope="module")
def i():
    with names.start({"test": ZONE, "in-addr.arpa": ""}) as zone, harness.Instance() as i:
        i.init(**zone.settings(), auth_exempt="203.0.113.0/24", xclient_hosts="127.0.0.1", ingest_instances=1,
               access_instances=1)
        i.add_account("alice")
        i.run("domain", "add", OTHER)
        i.serve()
        yield i


# ---- reports ----

def record(source, count, disposition="none", dkim="pass", spf="pass"):
    return (f"<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated>"
            f"<disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row>"
            f"<identifiers><header_from>{DOMAIN}</header_from></identifiers><auth_results><spf>"
            f"<domain>{DOMAIN}</domain><result>pass</result></spf></auth_results></record>")


GOOD = record("192.0.2.25", 100) + record("192.0.2.26", 10, spf="fail")
BAD = (record("198.51.100.7", 4, "reject", "fail", "fail") + record("198.51.100.8", 3, "quarantine", "fail", "fail") +
       record("2001:db8:7:8::9", 2, "none", "fail", "fail"))


def xml(number, organization="Somebody", domain=DOMAIN, records=GOOD + BAD, begin=YESTERDAY, root="<feedback>",
        extra=""):
    return (f'<?xml version="1.0" encoding="UTF-8" ?>\n{root}\n{extra}<report_metadata>'
            f"<org_name>{organization}</org_name><email>noreply@reports.example</email><report_id>{number}</report_id>"
            f"<date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range></report_metadata>"
            f"<policy_published><domain>{domain}</domain>"
            "<adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>reject</sp><pct>100</pct></policy_published>\n"
            f"{records}</feedback>\n").encode()


def zipped(data, name="report.xml"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, data)
    return out.getvalue()


def mail(reporter, *files, words="This is an aggregate report.", kind="gzip", to=TO, html=False):
    m = email.message.EmailMessage()
    m["From"] = f"noreply-dmarc@{reporter}"
    m["To"] = to
    m["Subject"] = f"Report Domain: {DOMAIN} Submitter: {reporter} Report-ID: <1>"
    m["Date"] = email.utils.format_datetime(datetime.datetime.now(datetime.timezone.utc))
    m["Message-ID"] = f"<{time.time_ns()}@{reporter}>"
    if words is None:
        m.set_content(files[0], "application", kind, filename="r", disposition="attachment")
    else:
        m.set_content(words, subtype="html" if html else "plain")
        for data in files:
            m.add_attachment(data, "application", kind, filename="r")
    return m.as_bytes(policy=email.policy.SMTP)


def send(i, message, peer=None, sender=None, to=TO, times=1):
    """The replies to that message, over one connection."""
    peer = peer or next(STRANGERS)
    with i.smtp(timeout=120) as s:
        s.ehlo("mx.test")
        assert s.docmd("XCLIENT", f"ADDR={peer}")[0] == 220
        s.ehlo("mx.test")
        said = []
        for _ in range(times):
            assert s.mail(sender or "bounces@nowhere.test")[0] == 250
            code, text = s.rcpt(to)
            said.append(s.data(message) if code == 250 else (code, text))
        return said if times > 1 else said[0]


def by(i, reporter, message, **how):
    """From its own server, with its own return path: DMARC passes."""
    return send(i, message, REPORTERS[reporter], f"bounces@{reporter}.test", **how)


def told(i, domain=DOMAIN, month=MONTH, *args):
    return i.run("domain", "report", domain, "--month", month, *args).stdout.decode()


def shown(i, domain=DOMAIN, month=MONTH):
    return json.loads(told(i, domain, month, "--json"))


def reports_of(i, reporter, **how):
    return [r for r in shown(i, **how)["reports"] if r["reporter"] == reporter]


def counter(i):
    return i.counters("ingest").get("dmarc_reports", 0)


# ---- what counts ----

def test_as_large_receivers_send_them(i):
    before = counter(i)
    assert told(i, OTHER).endswith(": no reports\n")
    space = ('<feedback xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
             'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">')
    newer = '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">'
    one = {
        # an archive and nothing else; words for people in HTML; plain words; RFC 9990's own
        "google": mail("google.test", zipped(xml("123", "google.com")), words=None, kind="zip"),
        "microsoft": mail("microsoft.test", gzip.compress(xml("0a1b", "Enterprise Outlook", root=space,
                                                              extra="<version>1.0</version>")), html=True),
        "yahoo": mail("yahoo.test", gzip.compress(xml("1764374399.5", "Yahoo"))),
        "fastmail": mail("fastmail.test", xml("9", "Fastmail", root=newer, extra="<version>2.0</version>"), kind="xml"),
    }
    for reporter, message in one.items():
        assert by(i, reporter, message)[0] == 250, reporter
        assert reports_of(i, f"{reporter}.test") == [
            {"day": DAY, "reporter": f"{reporter}.test", "proven": True, "messages": 119, "passed": 110, "dkim": 110,
             "spf": 100, "quarantined": 3, "rejected": 4}]
    assert counter(i) == before + 4
    for network, n in ("198.51.100.0/24", 7), ("2001:db8:7::/48", 2):
        assert {"network": network, "messages": 4 * n} in shown(i)["networks"]
    text = told(i)
    assert "  google.test: 1 report, 119 messages: 110 passed (110 by DKIM, 100 by SPF), 9 did not" in text
    assert "Most that did not pass came from 198.51.100.0/24 (28), 2001:db8:7::/48 (8)\n" in text
    assert shown(i, OTHER)["reports"] == [] and i.fetch_all(ALICE) == {}


def test_nobody_reads_them_on_the_disk(i):
    """Nor is the mail there. The log names nobody either."""
    assert by(i, "second", mail("second.test", gzip.compress(xml("disk", records=record("192.0.2.1", 77)))))[0] == 250
    data = (i.dir / "store/data.mdb").read_bytes()
    for word in b"second.test", b"Report Domain", b"google.com", b"noreply":
        assert word not in data
    assert "second.test" not in i.log() and i.run("audit").returncode == 0


def test_once(i):
    """However often and from wherever it comes; who uses another's id is somebody else."""
    message = mail("second.test", gzip.compress(xml("once", records=record("192.0.2.1", 1))))
    stranger = mail("nowhere.test", gzip.compress(xml("once", "second.test", records=record("192.0.2.1", 999999))))
    before, n = counter(i), len(reports_of(i, "second.test"))
    assert send(i, stranger)[0] == 250
    for peer in REPORTERS["second"], "198.51.100.5", REPORTERS["second"]:
        assert send(i, message, peer, "bounces@second.test")[0] == 250
    assert send(i, stranger)[0] == 250
    got = reports_of(i, "second.test")
    assert len(got) == n + 2 and counter(i) == before + 2
    assert [r["messages"] for r in got if r["proven"]][-1] == 1
    assert [r["messages"] for r in got if not r["proven"]] == [999999]
    text = told(i)
    at = text.index("From whoever says so: ")
    assert text.index("  second.test: ") < at < text.rindex("  second.test: 1 report, ")


def test_below_the_domain_and_another_day(i):
    days = {DAY: YESTERDAY, time.strftime("%Y-%m-%d", time.gmtime(YESTERDAY - 86400)): YESTERDAY - 86400}
    for n, (day, begin) in enumerate(days.items()):
        for shift in -5 * 3600, 0, 8 * 3600:  # their days begin by their own clocks
            data = xml(f"below {n} {shift}", domain=f"news.{DOMAIN}", begin=begin + shift)
            assert by(i, "yahoo", mail("yahoo.test", gzip.compress(data)))[0] == 250
        assert len([r for r in reports_of(i, "yahoo.test", month=day[:7]) if r["day"] == day]) >= 3


def test_names_are_tamed(i):
    said = "Evil\u202e \u0085Corp."
    assert send(i, mail("nowhere.test", gzip.compress(xml("tame", said))))[0] == 250
    assert re.search(r"^  Evil\?+ \?+Corp\.: 1 report, ", told(i), re.M)
    assert any(re.fullmatch(r"Evil\?+ \?+Corp\.", r["reporter"]) for r in shown(i)["reports"])


# ---- what does not ----

def refused(i, message, code, text, **how):
    before, had = counter(i), shown(i)
    said = send(i, message, **how)
    assert said[0] == code and text in said[1].decode(), said
    assert counter(i) == before and shown(i) == had


def test_who_is_not_who_they_say(i):
    data = gzip.compress(xml("forged"))
    refused(i, mail("google.test", data), 550, "DMARC")
    refused(i, mail("doubtful.test", data), 550, "DMARC")  # there is no Junk for it to go to


def test_other_domains(i):
    for domain in (OTHER, "example.com", f"x{DOMAIN}", DOMAIN.partition(".")[2], f"{DOMAIN}.example"):
        refused(i, mail("nowhere.test", gzip.compress(xml("other", domain=domain))), 554, "about another domain")
    message = mail("nowhere.test", gzip.compress(xml("other", domain=OTHER)))
    assert send(i, message, to=f"dmarc-reports@{OTHER}")[0] == 250
    assert len(shown(i, OTHER)["reports"]) == 1


def test_bombs(i):
    spaces = b" " * 50_000_000
    for data in gzip.compress(spaces), zipped(spaces):
        refused(i, mail("nowhere.test", data), 552, "larger")
    for data in (gzip.compress(gzip.compress(spaces)), gzip.compress(xml("deep", records="<a>" * 100_000)),
                 xml("entities").replace(
                     b"\n<feedback>", b"<!DOCTYPE f [<!ENTITY a 'x'><!ENTITY b '&a;&a;&a;'>]><feedback>", 1)):
        refused(i, mail("nowhere.test", data), 554, "no DMARC report")
    # Several of which each is within the limit, and no report: what is behind them is not looked into.
    half = gzip.compress(b"<html>" + b" " * 2_500_000 + b"</html>")
    refused(i, mail("nowhere.test", half, half, gzip.compress(xml("behind"))), 552, "larger")
    refused(i, mail("nowhere.test", *[gzip.compress(spaces)] * 5), 552, "larger")
    refused(i, mail("nowhere.test", os.urandom(2_000_000)), 552, "larger")


def test_what_is_no_report(i):
    for message in (mail("nowhere.test", b"hello"), mail("nowhere.test"), b"From: x@nowhere.test\r\n\r\nhi\r\n",
                    mail("nowhere.test", gzip.compress(b"<html></html>"))):
        refused(i, message, 554, "no DMARC report")
    for begin in YESTERDAY - 40 * 86400, YESTERDAY + 4 * 86400, 0, 253402300000:
        refused(i, mail("nowhere.test", gzip.compress(xml("when", begin=begin))), 554, "too long ago")


def test_the_address_is_nobodys(i):
    r = i.run("alias", "add", TO, ALICE, check=False)
    assert r.returncode == 1 and b"takes mail to that address itself" in r.stderr
    i.run("alias", "add", f"@{DOMAIN}", ALICE)  # nor the one's who has all others
    assert send(i, mail("nowhere.test", b"hello"))[0] == 554
    assert send(i, b"From: x@nowhere.test\r\n\r\nhi\r\n", to=f"dmarc-reports+x@{DOMAIN}")[0] == 250
    i.run("alias", "remove", f"@{DOMAIN}")
    assert send(i, b"", to="dmarc-reports@elsewhere.example")[0] in (550, 554)
    with i.smtp(timeout=120) as s:
        s.ehlo("mx.test")
        s.mail("a@nowhere.test")
        assert [s.rcpt(a)[0] for a in (TO, TO, ALICE, f"dmarc-reports@{OTHER}")] == [250, 250, 452, 452]
        s.rset()
        s.mail("a@nowhere.test")
        assert [s.rcpt(a)[0] for a in (ALICE, TO)] == [250, 452]
    i.app_password(ALICE)
    with i.submission(ALICE, timeout=120) as s:
        s.mail(ALICE)
        assert s.rcpt(TO)[0] == 550
    assert len(i.fetch_all(ALICE)) == 1


def test_one_who_does_not_stop(i):
    """Past the share of a peer nothing is read; and what a day tells apart has an end."""
    began = time.monotonic()
    peer = next(STRANGERS)
    codes = [send(i, mail("nowhere.test", gzip.compress(xml(f"flood {n}", f"Flood {n}"))), peer)[0] for n in range(100)]
    codes += [code for code, _ in send(i, mail("nowhere.test", b"x"), peer, times=100)]
    minutes = (time.monotonic() - began) / 60 + 1
    assert set(codes) <= {250, 450, 554}
    assert 200 - codes.count(450) <= 60 + 20 * minutes
    for n in range(60):
        assert send(i, mail("nowhere.test", gzip.compress(xml(f"many {n}", f"Many {n}"))))[0] == 250
    got = shown(i)
    assert len([r for r in got["reports"] if r["day"] == DAY]) == 48 and got["more"]["reports"] > 0
    assert by(i, "google", mail("google.test", gzip.compress(xml("after the flood"))))[0] == 250
    assert len([r for r in reports_of(i, "google.test") if r["day"] == DAY]) == 2


def test_the_vault_dies(i):
    """250 says that it is counted, and each is counted once."""
    begin = YESTERDAY - 5 * 86400
    month = time.strftime("%Y-%m", time.gmtime(begin + 43200))
    codes = {}

    def tell(n):
        data = gzip.compress(xml(f"crash {n}", begin=begin, records=record("192.0.2.1", 10 ** n)))
        codes[n] = by(i, "fastmail", mail("fastmail.test", data))[0]

    for n in range(6):
        one = threading.Thread(target=tell, args=(n,))
        one.start()
        if n % 2:
            os.kill(i.pids("vault")[0], signal.SIGKILL)
        one.join()
    for n in (n for n, code in codes.items() if code != 250):
        tell(n)
    day = time.strftime("%Y-%m-%d", time.gmtime(begin))
    got = [r["messages"] for r in reports_of(i, "fastmail.test", month=month) if r["day"] == day]
    assert set(codes.values()) == {250} and sorted(got) == [10 ** n for n in range(6)]


# ---- the command ----

def test_months_and_domains(i):
    for args in (("no.such.example",), ("not a domain",), (DOMAIN, "--month", "2026-13"), (DOMAIN, "--month", "2026-1"),
                 (DOMAIN, "--month", "2026-11-30"), (DOMAIN, "--month", "")):
        r = i.run("domain", "report", *args, check=False)
        assert r.returncode == 1 and r.stdout == b"", args
    assert told(i, month="2020-02") == f"{DOMAIN}, 2020-02: no reports\n"
    assert f'"v=DMARC1; p=quarantine; rua=mailto:{TO}"' in i.run("domain", "dns", DOMAIN).stdout.decode()


def test_they_go_with_their_domain(i):
    assert len(shown(i, OTHER)["reports"]) == 1
    i.run("domain", "remove", OTHER)
    i.run("domain", "add", OTHER)
    assert shown(i, OTHER)["reports"] == [] and i.run("audit").returncode == 0
