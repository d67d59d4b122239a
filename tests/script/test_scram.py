"""AUTHENTICATE by SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, as a client of its own making and by gsasl's."""
import base64
import hashlib
import hmac
import itertools
import secrets
import shutil
import socket
import ssl
import subprocess

import harness
import pytest

ALICE = f"alice@{harness.DOMAIN}"


@pytest.fixture(scope="module")
def served():
    with harness.Instance() as i:
        i.init()
        i.add_account("alice")
        i.serve()
        yield i


class Client:
    """From a network of its own, so that nobody waits for what another got wrong."""
    number = itertools.count(1)

    def __init__(self, instance, name=None):
        context, n = ssl._create_unverified_context(), next(self.number)
        self.s = context.wrap_socket(socket.create_connection(("127.0.0.1", instance.port("imaps")), timeout=30,
                                                              source_address=(f"127.{30 + n // 250}.{n % 250}.1", 0)),
                                     server_hostname=name)
        self.f = self.s.makefile("rwb")
        self.greeting = self.f.readline()

    def say(self, text):
        self.f.write(text.encode() + b"\r\n")
        self.f.flush()
        return self.f.readline().decode().rstrip()

    def challenge(self, message):
        answer = self.say(base64.b64encode(message.encode()).decode())
        return base64.b64decode(answer[2:]).decode() if answer.startswith("+ ") else answer

    def binding(self):
        """tls-server-end-point (RFC 5929 section 4)."""
        return hashlib.sha256(self.s.getpeercert(True)).digest()


def H(key, text):
    return hmac.new(key, text.encode(), "sha256").digest()


def authenticate(c, password, user=ALICE, gs2="n,,", bound=b"", mechanism="SCRAM-SHA-256", nonce=None, final=None):
    """What the server says in the end, and what it said before."""
    own = secrets.token_hex(12)
    bare = f"n={user},r={own}"
    assert c.say(f"t AUTHENTICATE {mechanism}") == "+"
    first = c.challenge(gs2 + bare)
    if not first.startswith("r="):
        return first, first
    fields = dict(x.split("=", 1) for x in first.split(","))
    assert fields["r"].startswith(own) and len(fields["r"]) > len(own)
    salt, count = base64.b64decode(fields["s"]), int(fields["i"])
    without = f"c={base64.b64encode(gs2.encode() + bound).decode()},r={nonce or fields['r']}"
    text = f"{bare},{first},{without}"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, count)
    key = H(salted, "Client Key")
    proof = bytes(a ^ b for a, b in zip(key, H(hashlib.sha256(key).digest(), text)))
    last = c.challenge(final or f"{without},p={base64.b64encode(proof).decode()}")
    if not last.startswith("v="):
        return last, first
    assert base64.b64decode(last[2:]) == H(H(salted, "Server Key"), text)
    return c.say(""), first


def test_logs_in(served):
    c = Client(served)
    assert b"AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS" in c.greeting
    assert authenticate(c, served.passwords[ALICE])[0].startswith("t OK")
    assert c.say("t LOGOUT").startswith("* BYE")


def test_any_password_of_the_account(served):
    before = served.passwords[ALICE]
    served.app_password(ALICE)
    for password in (before, served.passwords[ALICE]):
        assert authenticate(Client(served), password)[0].startswith("t OK")


def test_bound_to_the_session(served):
    password = served.passwords[ALICE]
    c = Client(served)
    bound = {"gs2": "p=tls-server-end-point,,", "mechanism": "SCRAM-SHA-256-PLUS"}
    assert authenticate(c, password, bound=c.binding(), **bound)[0].startswith("t OK")
    refused = "t NO [AUTHENTICATIONFAILED]"
    assert authenticate(Client(served), password, bound=bytes(32), **bound)[0].startswith(refused)
    assert authenticate(Client(served), password, **bound)[0].startswith(refused)


@pytest.mark.needs("openssl")
def test_bound_to_the_certificate_that_is_shown(served):
    """RFC 5929 section 4.1: of two that are served, that of the name which the client asked for (SNI)."""
    folder, password = served.dir / "tls", served.passwords[ALICE]
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-subj", "/CN=x", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-keyout", folder / "other.example.key.pem", "-out",
                    folder / "other.example.chain.pem"], check=True, capture_output=True)
    served.run("reload")
    bound = {"gs2": "p=tls-server-end-point,,", "mechanism": "SCRAM-SHA-256-PLUS"}
    other, own = Client(served, "other.example"), Client(served)
    of_other, of_own = other.binding(), own.binding()
    assert of_other != of_own
    for c, right in (other, of_other), (own, of_own):
        assert authenticate(c, password, bound=right, **bound)[0].startswith("t OK")
    for name, wrong in ("other.example", of_own), (None, of_other):
        assert authenticate(Client(served, name), password, bound=wrong, **bound)[0].startswith("t NO")


def test_downgrade_and_mismatches(served):
    password = served.passwords[ALICE]
    refused = "t NO [AUTHENTICATIONFAILED]"
    # The client can bind and believes that we cannot: somebody took it out of our list.
    assert authenticate(Client(served), password, gs2="y,,")[0].startswith(refused)
    assert authenticate(Client(served), password, mechanism="SCRAM-SHA-256-PLUS")[0].startswith(refused)
    assert authenticate(Client(served), password, gs2="p=tls-unique,,", mechanism="SCRAM-SHA-256-PLUS")[0].startswith(
        refused)
    assert authenticate(Client(served), password, gs2="n,a=other,")[0].startswith(refused)
    assert authenticate(Client(served), password, nonce="x" * 48)[0].startswith(refused)
    assert authenticate(Client(served), "wrong")[0].startswith(refused)
    assert authenticate(Client(served), password, final="c=biws")[0].startswith(refused)


def test_nobody_is_answered_like_somebody(served):
    answers = [authenticate(Client(served), "wrong", user=user) for user in ("nobody@" + harness.DOMAIN, ALICE) * 2]
    assert {a for a, _ in answers} == {"t NO [AUTHENTICATIONFAILED] Not accepted"}
    fields = [dict(x.split("=", 1) for x in first.split(",")) for _, first in answers]
    assert len({f["i"] for f in fields}) == 1
    assert fields[0]["s"] == fields[2]["s"] != fields[1]["s"] == fields[3]["s"]  # the same each time
    assert len(fields[0]["s"]) == len(fields[1]["s"])


def test_a_client_that_gives_up_or_says_more(served):
    c = Client(served)
    for _ in range(2):
        assert c.say("t AUTHENTICATE SCRAM-SHA-256") == "+"
        assert c.say("*") == "t BAD Cancelled"
    assert c.say("t AUTHENTICATE SCRAM-SHA-256 !").startswith("t BAD")
    assert c.say("t AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,,n=u").decode()).startswith("t BAD")
    assert c.say("t NOOP").startswith("t OK")


@pytest.mark.needs("gsasl")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize("right", [True, False])
def test_gsasl(served, mechanism, right):
    password = served.passwords[ALICE] if right else "wrong"
    done = subprocess.run(
        [shutil.which("gsasl"), "--imap", "--connect", f"localhost:{served.port('imap')}", "--starttls",
         "--x509-ca-file=", "--mechanism", mechanism, "--authentication-id", ALICE, "--password", password,
         "--no-client-first", "--verbose", *([] if mechanism.endswith("PLUS") else ["--no-cb"])],
        input=b"", capture_output=True, timeout=60)
    assert (b"] Welcome" in done.stdout) is right, done
    assert b"AUTHENTICATE " + mechanism.encode() in done.stdout
