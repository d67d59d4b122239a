"""Web Key Services by hand: mail to a submission address, and what it says, as their clients have it."""
import email
import hashlib
import re
import smtplib

import harness
import uploads


def z_base_32(text):
    bits = int.from_bytes(hashlib.sha1(text.encode()).digest(), "big")
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[bits >> shift & 31] for shift in range(155, -1, -5))


def address(domain=harness.DOMAIN):
    return f"key-submission@{domain}"


def encrypted(armoured, to, sender):
    """A mail of PGP/MIME, as gpg-wks-client writes it."""
    return harness.crlf(
        f"From: {sender}\nTo: {to}\nSubject: Key publishing request\nWks-Draft-Version: 3\nMIME-Version: 1.0\n"
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\n\tboundary="=-=01=-="\n'
        "Date: Mon, 30 Nov 2026 11:00:00 +0000\n\n\n--=-=01=-=\nContent-Type: application/pgp-encrypted\n\n"
        "Version: 1\n\n--=-=01=-=\nContent-Type: application/octet-stream\n\n" + armoured.decode() +
        "\n--=-=01=-=--\n")


def part(kind, text):
    return f"Content-Type: {kind}\n\n".encode() + text


def response(nonce, of, kind="confirmation-response"):
    return part("application/vnd.gnupg.wks",
                f"type: {kind}\nsender: {address()}\naddress: {of}\nnonce: {nonce}\n".encode())


def send(i, message, to=None, sender="sender@example.org", session=None, peer=None):
    """(code, text) of what was said to it: to another peer each time, since each has its share."""
    try:
        with session or smtplib.SMTP("127.0.0.1", i.port("smtp"), "client.example", 120,
                                     (peer or next(uploads.PEERS), 0)) as s:
            s.sendmail(sender, [to or address()], message)
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))
    except smtplib.SMTPResponseException as e:
        return e.smtp_code, e.smtp_error
    return 250, b""


def request(ring, rendered):
    """(the mail, {name: value} of the request in it): both are sealed to the key."""
    mail = email.message_from_bytes(ring.decrypt(harness.armor_of(rendered)))
    text, asks = mail.get_payload()
    assert (mail.get_content_type(), text.get_content_type(), asks.get_content_type()) == (
        "multipart/mixed", "text/plain", "application/vnd.gnupg.wks")
    lines = ring.decrypt(asks.get_payload().encode()).decode().splitlines()
    return mail, dict(re.fullmatch(r"([a-z]+): (.*)", line).groups() for line in lines)
