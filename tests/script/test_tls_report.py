"""letterlock tls-report: reports as others write them, for people."""

import gzip
import json
import subprocess

import harness

REPORT = {
    "organization-name": "Large Corporation",
    "date-range": {"start-datetime": "2026-11-28T00:00:00Z", "end-datetime": "2026-11-28T23:59:59Z"},
    "contact-info": None,
    "report-id": "1339+a.example",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-string": ["mode: enforce"], "policy-domain": "a.example"},
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1", "failed-session-count": 300},
                {
                    "result-type": "starttls-not-supported",
                    "receiving-mx-hostname": "mx.a.example",
                    "failure-reason-code": "\x1b[2J\r\nwell",
                    "failed-session-count": 3,
                },
            ],
        }
    ],
}
WANTED = """\
Large Corporation, 2026-11-28T00:00:00Z to 2026-11-28T23:59:59Z, report 1339+a.example
  a.example, MTA-STS: 5326 sessions went well, 303 did not
    300 x certificate-expired, from 192.0.2.1
    3 x starttls-not-supported, at mx.a.example, because ?[2J??well
"""


def run(*args, stdin=None):
    command = [harness.BINARY, "tls-report", *args]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def test_read(tmp_path):
    text = json.dumps(REPORT).encode()
    plain, packed = tmp_path / "r.json", tmp_path / "r.json.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    r = run(plain, packed)
    assert (r.returncode, r.stdout) == (0, WANTED * 2)
    assert run("-", stdin=text.decode()).stdout == WANTED


def test_what_is_no_report(tmp_path):
    good, mail, large = tmp_path / "g", tmp_path / "m", tmp_path / "l"
    good.write_text(json.dumps(REPORT))
    mail.write_text("Subject: Report Domain: a.example\n\nhello\n")
    large.write_bytes(gzip.compress(b" " * 2_000_000))
    r = run(mail, good, large, tmp_path / "none")
    assert r.returncode == 1 and r.stdout == WANTED
    lines = r.stderr.splitlines()
    assert "is no TLS report: give the attachment itself" in lines[0]
    assert "is larger than a report may be" in lines[1]
    assert "cannot read" in lines[2]
