"""Mail from our own people (RFC 6409): the clients that people have log in over TLS and send, and what becomes of what
they say of themselves."""
import email
import re
import smtplib
import socket
import ssl
import subprocess
import time

import harness
import pytest
import test_scram

ALICE, BOB = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}"
ANN = f"ann@{harness.DOMAIN}"
# What a client tells of its machine and its person: none of it may reach anybody.
TELLTALES = ("laptop.home", "203.0.113.9", "ThingMailer", "+0900", "carol@elsewhere.example", "127.0.0.1")
MAIL = harness.crlf(f"""\
Received: from laptop.home ([203.0.113.9]) by laptop.home; Sat, 21 Nov 2026 19:00:00 +0900
From: Alice <{ANN}>
To: {BOB}
Bcc: carol@elsewhere.example
Subject: A subject
Date: Sat, 21 Nov 2026 19:00:00 +0900
Message-ID: <1234@laptop.home>
User-Agent: ThingMailer/1.0
X-Mailer: ThingMailer
X-Originating-IP: [203.0.113.9]
X-Forwarded-For: 203.0.113.9
X-Source-IP: 203.0.113.9
X-HTTP-UserAgent: ThingMailer
Resent-Message-ID: <1235@laptop.home>
X-Own: stays

A body.
""")


@pytest.fixture(scope="module")
def i():
    with harness.Instance() as i:
        i.init()
        for name in ("alice", "bob"):
            i.add_account(name)
        i.run("alias", "add", ANN, ALICE)
        i.serve()
        yield i


def newest(i, address=BOB):
    """The newest message, decrypted, with everything inside the seal; and it is taken out of the mailbox."""
    boxes = i.fetch_all(address)
    assert boxes, "nothing has come"
    c = i.imap(address)
    c.select("INBOX")
    c.store("1:*", "+FLAGS", r"(\Deleted)")
    c.expunge()
    c.logout()
    rendered = boxes[max(boxes)]
    return rendered, i.keyring.decrypt(harness.armor_of(rendered))


def submit(i, message=MAIL, sender=ALICE, to=BOB, **options):
    s = i.submission(ALICE)
    refused = s.sendmail(sender, to, message, **options)
    s.quit()
    return refused


def test_what_a_client_says_of_itself_stays_here(i):
    submit(i)
    rendered, inside = newest(i)
    for word in TELLTALES:
        assert word.encode() not in inside and word.encode() not in rendered, word
    m = email.message_from_bytes(inside)
    assert m["Date"] == "Sat, 21 Nov 2026 10:00:00 +0000"
    assert re.fullmatch(rf"<[0-9a-f]{{32}}@{harness.DOMAIN}>", m["Message-ID"])
    assert m["X-Own"] == "stays" and m["Subject"] == "A subject" and m["Bcc"] is None
    assert [re.sub(r"\s+", " ", r).partition(" id ")[0] for r in m.get_all("Received")] == \
        [f"by {harness.DOMAIN} (Letterlock) with ESMTPSA"]
    assert m.get_payload() == "A body.\r\n"


def test_the_log_and_status_know_it_and_name_nobody(i):
    start = len(i.log())
    submit(i)
    newest(i)
    i.logged(r"mail at=end reason=accepted .* tls=0304", start)
    assert "alice" not in i.log()[start:] and "bob" not in i.log()[start:]
    counters = {k: sum(r["counters"].get(k, 0) for r in i.status()["roles"] if r["role"] == "ingest")
                for k in ("submission_logins", "submission_login_failures")}
    assert counters["submission_logins"] > 0


def test_587_is_for_starttls(i):
    with smtplib.SMTP("127.0.0.1", i.port("submission"), local_hostname="laptop.home", timeout=60) as s:
        s.ehlo()
        assert not s.has_extn("auth") and s.has_extn("starttls")
        assert s.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 530
        assert s.docmd("AUTH", "PLAIN AGEAYg==")[0] == 538
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        assert s.esmtp_features["auth"].split() == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
        for name in ("dsn", "8bitmime", "smtputf8", "pipelining", "chunking", "size", "futurerelease"):
            assert s.has_extn(name), name
        seconds, until = s.esmtp_features["futurerelease"].split()
        assert seconds == "2592000" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until)
        s.login(ALICE, i.passwords[ALICE])
        s.sendmail(ALICE, BOB, MAIL)
    newest(i)


def test_port_25_lets_nobody_log_in(i):
    with i.smtp() as s:
        s.starttls(context=ssl._create_unverified_context())
        s.ehlo()
        assert not s.has_extn("auth") and not s.has_extn("dsn") and not s.has_extn("futurerelease")
        assert s.docmd("AUTH", "PLAIN AGEAYg==")[0] == 502
        assert s.docmd("MAIL", f"FROM:<{ALICE}> RET=HDRS")[0] == 555


def test_passwords_of_another_scope_or_revoked_are_refused(i):
    made = i.run("app-password", "add", ALICE, "--label", "reader", "--scope", "imap").stdout.decode().strip()
    s = smtplib.SMTP_SSL("127.0.0.1", i.port("submissions"), context=ssl._create_unverified_context(), timeout=60)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        s.login(ALICE, made)
    s.close()


@pytest.mark.parametrize("sender, author, code", [
    (BOB, ALICE, 550), (ALICE, BOB, 550), ("x@elsewhere.example", ALICE, 550), (ANN, ALICE, 250), ("", ALICE, 250)])
def test_an_account_writes_as_itself_alone(i, sender, author, code):
    message = harness.mail(sender=author, to=BOB)
    if code == 250:
        submit(i, message, sender=sender)
        newest(i)
        return
    with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError)) as refused:
        submit(i, message, sender=sender)
    assert refused.value.smtp_code == code


def test_hidden_correspondents_cannot_be_answered_by_their_stand_in(i):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        submit(i, to="hidden@hidden.invalid")
    (code, text), = refused.value.recipients.values()
    assert code == 550 and b"inside the sealed message" in text


def test_what_is_refused_is_not_stored(i):
    before = len(i.fetch_all(BOB))
    with pytest.raises(smtplib.SMTPDataError):
        submit(i, harness.mail(sender=BOB, to=BOB))
    assert len(i.fetch_all(BOB)) == before


def test_what_is_for_elsewhere_waits_in_the_queue_and_nothing_of_it_is_readable(i):
    canary = "CanaryThatIsOnItsWay"
    with i.submission(ALICE) as s:
        refused = s.sendmail(ALICE, [BOB, f"somebody{canary}@elsewhere.example"],
                             harness.mail(subject=canary, sender=ALICE, to=f"somebody{canary}@elsewhere.example",
                                          body=f"{canary}\n"), rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
    assert not refused
    assert canary.encode() in newest(i)[1]
    found = subprocess.run(["grep", "-rliaF", canary, i.dir], capture_output=True, text=True)
    assert found.stdout == "" and found.returncode == 1
    (i.place / "canary").write_text(canary)
    audit = i.run("audit", "--canary", i.place / "canary", check=False)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_swaks(i):
    def swaks(*options):
        return subprocess.run(["swaks", "--server", f"127.0.0.1:{i.port('submission')}", "--tls", "--auth-user", ALICE,
                               "--auth-password", i.passwords[ALICE], "--from", ALICE, "--to", BOB, *options],
                              capture_output=True, text=True, timeout=60)
    for mechanism in ("PLAIN", "LOGIN"):
        p = swaks("--auth", mechanism)
        assert p.returncode == 0, p.stdout
        _, inside = newest(i)
        assert b"swaks" not in inside.lower().replace(b"this is a test mailing", b"")
    assert swaks("--auth-password", "wrong", "--local-interface", "127.78.0.1").returncode == 28


def test_curl(i, tmp_path):
    (tmp_path / "mail").write_bytes(MAIL)
    for url in (f"smtps://127.0.0.1:{i.port('submissions')}", f"smtp://127.0.0.1:{i.port('submission')}"):
        p = subprocess.run(["curl", "-sS", "--insecure", "--ssl-reqd", "--url", f"{url}/laptop.home", "--user",
                            f"{ALICE}:{i.passwords[ALICE]}", "--mail-from", ALICE, "--mail-rcpt", BOB,
                            "--upload-file", tmp_path / "mail"], capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stderr
        assert b"laptop.home" not in newest(i)[1]


@pytest.mark.needs("msmtp")
@pytest.mark.parametrize("auth", ["on", "plain", "login"])
def test_msmtp(i, tmp_path, auth):
    password = tmp_path / "password"
    password.write_text(i.passwords[ALICE])
    for service, starttls in (("submissions", "off"), ("submission", "on")):
        p = subprocess.run(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={i.port(service)}", "--tls=on",
                            f"--tls-starttls={starttls}", "--tls-certcheck=off", f"--auth={auth}", f"--user={ALICE}",
                            f"--passwordeval=cat {password}", f"--from={ALICE}", BOB], input=MAIL,
                           capture_output=True, timeout=60)
        assert p.returncode == 0, p.stderr
        assert b"laptop.home" not in newest(i)[1]


class ScramClient(test_scram.Client):
    """The client of IMAP's tests, in the words of SMTP. Each is another peer: failures slow nobody else down."""

    peers = 0

    def __init__(self, i):
        ScramClient.peers += 1
        here = (f"127.77.{ScramClient.peers}.1", 0)
        context = ssl._create_unverified_context()
        self.s = context.wrap_socket(socket.create_connection(("127.0.0.1", i.port("submissions")), timeout=30,
                                                              source_address=here))
        self.f = self.s.makefile("rwb")
        assert self.f.readline().startswith(b"220 ")
        assert super().say("EHLO laptop.home").startswith("250-")
        while self.f.readline().startswith(b"250-"):
            pass

    def say(self, text):
        answer = super().say(text.replace("t AUTHENTICATE", "AUTH"))
        return f"+ {answer[4:]}".rstrip() if answer.startswith("334") else answer


@pytest.fixture
def bound(i):
    """An instance that offers -PLUS, which is not the default."""
    i.configure(submission_scram_plus="yes")
    i.run("reload")
    yield i
    i.configure(submission_scram_plus="no")
    i.run("reload")


def test_scram_logs_in_and_is_bound_to_its_session(bound):
    i, password = bound, bound.passwords[ALICE]
    bound = {"gs2": "p=tls-server-end-point,,", "mechanism": "SCRAM-SHA-256-PLUS"}
    before = ScramClient(i)
    assert test_scram.authenticate(ScramClient(i), password)[0].startswith("235 2.7.0")
    c = ScramClient(i)
    assert test_scram.authenticate(c, password, bound=c.binding(), **bound)[0].startswith("235 2.7.0")
    assert c.say(f"MAIL FROM:<{ALICE}>").startswith("250")
    assert test_scram.authenticate(ScramClient(i), password, bound=bytes(32), **bound)[0].startswith("535 5.7.8")
    # Under TLS -PLUS was offered: who says that it was not, has been told so by somebody between.
    assert test_scram.authenticate(ScramClient(i), password, gs2="y,,")[0].startswith("535 5.7.8")
    # What a session was offered holds for it (RFC 5802 section 6), whatever is configured meanwhile.
    i.configure(submission_scram_plus="no")
    i.run("reload")
    assert test_scram.authenticate(before, password, gs2="y,,")[0].startswith("535 5.7.8")


def test_where_plus_is_not_offered_nobody_has_taken_it_away(i):
    """A client that can bind says so ("y"), and is let in; one that binds all the same is not."""
    c = ScramClient(i)
    assert test_scram.authenticate(c, i.passwords[ALICE], gs2="y,,")[0].startswith("235 2.7.0")
    assert c.say(f"MAIL FROM:<{ALICE}>").startswith("250")
    c = ScramClient(i)
    assert c.say("AUTH SCRAM-SHA-256-PLUS").startswith("504 5.5.4")
    assert test_scram.authenticate(ScramClient(i), i.passwords[ALICE], gs2="p=tls-exporter,,")[0][0] == "5"


def test_scram_refuses_what_is_wrong(i):
    assert test_scram.authenticate(ScramClient(i), "wrong")[0].startswith("535 5.7.8")
    assert test_scram.authenticate(ScramClient(i), i.passwords[ALICE], user="nobody")[0].startswith("535 5.7.8")
    reader = i.run("app-password", "add", ALICE, "--label", "scram", "--scope", "imap").stdout.decode().strip()
    assert test_scram.authenticate(ScramClient(i), reader)[0].startswith("535 5.7.8")
    c = ScramClient(i)
    assert c.say("AUTH SCRAM-SHA-256 !").startswith("501 5.5.2")
    assert c.say("AUTH SCRAM-SHA-256 eA==").startswith("501 5.5.2")  # "x"
    assert c.say("AUTH SCRAM-SHA-256 " + "QUJD" * 400).startswith("501 5.5.2")
    assert c.say(f"MAIL FROM:<{ALICE}>").startswith("530")


def test_guessing_is_slowed_with_imap_in_one_count(i):
    """Failures of one protocol slow the tries of the other: whoever guesses by both gains nothing (server/login)."""
    def attempt():
        s = smtplib.SMTP_SSL("127.0.0.1", i.port("submissions"), context=ssl._create_unverified_context(), timeout=60)
        begin = time.monotonic()
        with pytest.raises(smtplib.SMTPResponseException):
            s.login(ALICE, "wrong")
        s.close()
        return time.monotonic() - begin
    while attempt() < 0.5:  # the first failures cost nothing
        pass
    c = harness.imaplib.IMAP4("127.0.0.1", i.port("imap"), timeout=60)
    begin = time.monotonic()
    with pytest.raises(harness.imaplib.IMAP4.error):
        c.login(ALICE, "wrong")
    assert time.monotonic() - begin > 0.5
    c.shutdown()


def test_the_fields_that_submission_changes_are_the_program_s():
    said = {"removed": "REMOVED", "written anew": "DATED", "stays if": "IDENTIFIED", "stays, but": "THREADED",
            "may get": "REPLACED"}
    page = (harness.ROOT / "docs/operating.md").read_text()
    section = page.partition("## Mail from our own people")[2].partition("\n## ")[0]
    told = {(name, action) for names, words in re.findall(r"^\| (`.*`) \| (.*) \|$", section, re.M)
            for begin, action in said.items() if words.startswith(begin) for name in re.findall(r"`([^`]+)`", names)}
    rules = set(re.findall(r'^    \{"([^"]+)", ([A-Z]+)\}',
                           (harness.ROOT / "server/ingest/submission/clean.c").read_text(), re.M))
    assert len(rules) > 40 and told == rules
