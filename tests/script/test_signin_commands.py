"""letterlock invite, session and factor: how the operator helps those who sign in."""
import os
import re
import struct
import time

import harness
import pytest
from channels import Channel, requests
from cli_tools import lines, refused, usage
from holders import INVITATION, Holder, factor_put, session_add, signin_set, token_of

ANN, BEA = f"ann@{harness.DOMAIN}", f"bea@{harness.DOMAIN}"
pytestmark = pytest.mark.needs("root", "ss")


@pytest.fixture(scope="module")
def served():
    with harness.Instance(web=True) as i:
        i.init(web_instances=1)
        i.add_account("ann")
        i.add_account("bea")
        yield i.serve()


def shown(i, who):
    return [x for x in lines(i, "account", "show", who) if x.startswith("  sign-in")]


def ask(i, *asked):
    """As web does."""
    c = Channel(i, i.pids("web")[0])
    try:
        said = [c.ask(requests()[name], payload) for name, payload in asked]
    finally:
        c.close()
    assert [s[0] for s in said] == [0] * len(said), said
    return said


def test_invitations(served):
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * 86400))
    first = served.run("invite", BEA).stdout
    assert re.fullmatch(rb"[A-Za-z0-9_-]{22}\n", first) and shown(served, BEA) == []
    second = served.run("invite", BEA, "--days", "3").stdout
    open_ones = lines(served, "invite", "list")
    assert second != first and len(open_ones) == 1 and open_ones[0].split() == [BEA, "until", day]
    assert second.strip().decode() not in open_ones[0]
    for bad in "0", "366", "-1", "x", "":
        refused(served, "invite", BEA, "--days", bad, says="1 to 365")
    refused(served, "invite", "nobody@" + harness.DOMAIN, says="nobody@")
    served.run("invite", "revoke", BEA)
    refused(served, "invite", "revoke", BEA, says="no invitation")
    assert lines(served, "invite", "list") == []


def test_who_signs_in(served):
    token = token_of(served.run("invite", ANN).stdout) + bytes(48)
    name, secret, holder = os.urandom(16), os.urandom(20), Holder()
    ask(served, ("VAULT_SIGNIN_SET", signin_set(16, INVITATION, token, 0, holder)),
        ("VAULT_SESSION_ADD", session_add(16, name, 1, "Firefox \x9b2J".encode())),
        ("VAULT_SESSION_ADD", session_add(16, os.urandom(16), 1, b"telephone")),
        ("VAULT_FACTOR_PUT", factor_put(16, name, secret, b"key ring")))
    assert "a recovery phrase; sessions: 2, second factors: 1, wrapped keys: 0" in shown(served, ANN)[0]
    sessions, factors = lines(served, "session", "list", ANN), lines(served, "factor", "list", ANN)
    assert [x.split()[0] for x in sessions] == ["1", "2"] and all(x.endswith("by password") for x in sessions)
    assert "Firefox ??2J" in sessions[0]  # nothing that a terminal obeys
    assert len(factors) == 1 and factors[0].split()[:4] == ["3", "totp", "key", "ring"]
    assert lines(served, "session", "list", BEA) + lines(served, "factor", "list", BEA) == []

    stolen = (served.dir / "store/data.mdb").read_bytes()
    for planted in b"telephone", b"Firefox", b"key ring", secret, holder.record, bytes(holder.phrase.verify_key):
        assert planted not in stolen
    assert ANN.encode() not in stolen

    usage(served, "session", "end", ANN)
    usage(served, "session", "end", ANN, "1", "--all")
    for bad in "0", "x", "99999999999":
        refused(served, "session", "end", ANN, bad, says="session list")
        refused(served, "factor", "remove", ANN, bad, says="factor list")
    refused(served, "session", "end", ANN, "7", says="no such session")
    refused(served, "factor", "remove", ANN, "1", says="no such second factor")
    served.run("session", "end", ANN, "1")
    assert [x.split()[0] for x in lines(served, "session", "list", ANN)] == ["2"]
    served.run("session", "end", ANN, "--all")
    served.run("factor", "remove", ANN, "3")
    assert "sessions: 0, second factors: 0" in shown(served, ANN)[0]


def test_somebody_forgot_the_password(served):
    refused(served, "invite", ANN, says="--reset")
    done = served.run("invite", ANN, "--reset")
    assert b"are lost" in done.stderr and lines(served, "invite", "list")[0].endswith("reset")
    other = Holder()
    said = ask(served, ("VAULT_SIGNIN_SET", signin_set(16, INVITATION, token_of(done.stdout) + bytes(48), 1, other)))
    assert said[0][2] == struct.pack(">I", 2) and lines(served, "invite", "list") == []
    served.run("invite", BEA)
    served.run("account", "remove", BEA)
    assert lines(served, "invite", "list") == []
    assert served.run("audit").returncode == 0
