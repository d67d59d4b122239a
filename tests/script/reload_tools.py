"""What test_reload.py has clients do."""
import smtplib

import harness

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
