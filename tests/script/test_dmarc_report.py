"""letterlock dmarc-report: reports as others send them, for people. The report of the world is RFC 7489's example
(appendix C) as Google and others fill it in; the mail has it packed by gzip, or in a ZIP archive."""
import email.message
import email.policy
import gzip
import io
import subprocess
import zipfile

import harness

ROW = ("<record><row><source_ip>{}</source_ip><count>{}</count><policy_evaluated><disposition>{}</disposition>"
       "<dkim>{}</dkim><spf>{}</spf></policy_evaluated></row><identifiers><header_from>bank.example</header_from>"
       "</identifiers><auth_results><spf><domain>bank.example</domain><result>pass</result></spf></auth_results>"
       "</record>")
REPORT = """<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata>
    <org_name>Large \u202e Corporation</org_name>
    <email>noreply@large.example</email>
    <report_id>1339</report_id>
    <date_range><begin>1764288000</begin><end>1764374399</end></date_range>
  </report_metadata>
  <policy_published><domain>bank.example</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>none</sp>
  </policy_published>
""" + ROW.format("192.0.2.1", 118, "none", "pass", "fail") + ROW.format(
    "2001:db8::1", 2, "reject", "fail", "fail") + "</feedback>"
WANTED = """\
Large ??? Corporation, 2025-11-28T00:00:00Z to 2025-11-28T23:59:59Z, report 1339
  bank.example: 120 messages, 118 passed (118 by DKIM, 0 by SPF), 2 did not; 0 quarantined, 2 rejected
"""


def run(*args, stdin=None):
    command = [harness.BINARY, "dmarc-report", *args]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def archive(how):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as z:
        z.writestr("large.example!bank.example!1764288000!1764374399.xml", REPORT)
    return out.getvalue()


def test_read(tmp_path):
    forms = {"r.xml": REPORT.encode(), "r.xml.gz": gzip.compress(REPORT.encode()),
             "r.zip": archive(zipfile.ZIP_DEFLATED), "stored.zip": archive(zipfile.ZIP_STORED),
             "r16.xml": REPORT.replace("UTF-8", "UTF-16").encode("utf-16")}
    for name, octets in forms.items():
        (tmp_path / name).write_bytes(octets)
    r = run(*(tmp_path / name for name in forms))
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout == WANTED * len(forms)
    assert run("-", stdin=REPORT).stdout == WANTED


def mail(data, subtype="gzip", before=(), cte="base64"):
    m = email.message.EmailMessage()
    m["Subject"] = "Report Domain: bank.example Submitter: large.example Report-ID: <1339>"
    m.set_content("This is an aggregate report.")
    for kind, other in before:
        m.add_attachment(other, "application", kind, filename="a")
    m.add_attachment(data, "application", subtype, filename="large.example!bank.example!1!2.xml.gz", cte=cte)
    return m


def test_mails_that_bring_one(tmp_path):
    packed = gzip.compress(REPORT.encode())
    alone = email.message.EmailMessage()  # as Microsoft and others send it: nothing else
    alone.set_content(packed, "application", "gzip")
    forwarded = email.message.EmailMessage()
    forwarded.set_content("see below")
    forwarded.add_attachment(packed, "application", "octet-stream", filename="r.xml.gz")
    forms = [mail(packed), alone, forwarded, mail(archive(zipfile.ZIP_DEFLATED), "zip"), mail(REPORT.encode(), "xml"),
             mail(REPORT.encode(), "xml", cte="quoted-printable"),
             mail(packed, before=[("pdf", b"%PDF-1.4"), ("gzip", gzip.compress(b"no report"))])]
    for n, m in enumerate(forms):
        (tmp_path / str(n)).write_bytes(m.as_bytes(policy=email.policy.SMTP))
    r = run(*(tmp_path / str(n) for n in range(len(forms))))
    assert (r.returncode, r.stderr) == (0, "") and r.stdout == WANTED * len(forms)


def test_a_mail_with_too_much_in_it(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(mail(gzip.compress(REPORT.encode()), before=[("gzip", b"x")] * 4).as_bytes())
    assert run(path).returncode == 1
    path.write_bytes(mail(gzip.compress(REPORT.encode()), before=[("gzip", b"x" * 2_000_000)]).as_bytes())
    r = run(path)
    assert r.returncode == 1 and "is larger than a report may be" in r.stderr


def test_what_is_no_report(tmp_path):
    good, words, large, entities = (tmp_path / n for n in "gmle")
    good.write_text(REPORT)
    words.write_text("Subject: Report Domain: bank.example\n\nhello\n")
    large.write_bytes(gzip.compress(b" " * 9_000_000))
    entities.write_text(REPORT.replace("<feedback>", "<!DOCTYPE f [<!ENTITY a 'x'>]><feedback>", 1))
    r = run(words, good, large, entities, tmp_path / "none")
    assert r.returncode == 1 and r.stdout == WANTED
    lines = r.stderr.splitlines()
    assert "is no DMARC report: give the mail that brought it" in lines[0]
    assert "is larger than a report may be" in lines[1]
    assert "is no DMARC report" in lines[2]
    assert "cannot read" in lines[3]
