"""What test_reload.py has clients do."""
import smtplib
import ssl
import time

import harness
from talk import Talk

DOMAIN = harness.DOMAIN
ALICE = f"alice@{DOMAIN}"
MB = 1 << 20


def ehlo(i):
    with i.smtp() as s:
        s.ehlo()
        return s.esmtp_features


def begin(t, size=None):
    """To the middle of a message."""
    for line in ("EHLO client.example", "MAIL FROM:<a@example.org>" + (f" SIZE={size}" if size else ""),
                 f"RCPT TO:<{ALICE}>"):
        assert t.ask(line).startswith(b"250"), line
    assert t.ask("DATA").startswith(b"354")


def code(i, message, recipients=(ALICE,)):
    """What the end of DATA, or a recipient, was answered."""
    try:
        refused = i.send(list(recipients), message)
        return [c for c, _ in refused.values()] or [250]
    except smtplib.SMTPDataError as e:
        return [e.smtp_code]
    except smtplib.SMTPSenderRefused as e:
        return [e.smtp_code]


def long_mail(octets, width=70):
    return harness.mail("long", ("x" * width + "\n") * (octets // (width + 2) + 1))


def seconds_of_messages(i):
    """Of three."""
    s, start = i.submission(ALICE), time.monotonic()
    assert [(s.mail(ALICE)[0], s.rset()[0]) for _ in range(3)] == [(250, 250)] * 3
    took = time.monotonic() - start
    s.quit()
    return took


def seconds_of_errors(i, host):
    """Of three bad commands."""
    with Talk(i, host=host) as t:
        assert t.hear().startswith(b"220 ")
        start = time.monotonic()
        for _ in range(3):
            assert t.ask("NONSENSE").startswith(b"500 ")
        return time.monotonic() - start


def submission_ehlo(i):
    with smtplib.SMTP("127.0.0.1", i.port("submission"), timeout=30) as s:
        s.ehlo()
        return s.esmtp_features


def submission_auth(i):
    with smtplib.SMTP_SSL("127.0.0.1", i.port("submissions"), context=ssl._create_unverified_context()) as s:
        s.ehlo()
        return s.esmtp_features["auth"].split()


def ends_in_time(t, word, seconds=120):
    start = time.monotonic()
    assert word in t.rest()
    assert 0.9 < time.monotonic() - start < seconds


def counter(i, name, role="ingest"):
    return sum(r["counters"].get(name, 0) for r in i.status()["roles"] if r["role"] == role)
