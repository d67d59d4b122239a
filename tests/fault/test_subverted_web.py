"""A subverted `web`: what it may ask the vault for, over the channel that it has. It publishes what waits under a
token, of which it has none; and it signs people in, but cannot say who they are."""
import os
import pathlib
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from channels import Channel, error, requests, sealed_file, sealed_parcel  # noqa: E402
from holders import (INVITATION, PASSWORD, PHRASE, Holder, app_password_add, factor_put, session_add,  # noqa: E402
                     signin_set, token_of, uuid_of, wrapped_put)

MAY = {"VAULT_UPLOAD_CONFIRM", "VAULT_SIGNIN_SET", "VAULT_WRAPPED_PUT", "VAULT_SESSION_ADD", "VAULT_SESSION_USED",
       "VAULT_SESSION_DEL", "VAULT_FACTOR_PUT", "VAULT_FACTOR_DEL", "VAULT_FACTOR_USED", "VAULT_APP_PASSWORD_ADD",
       "VAULT_APP_PASSWORD_REVOKE"}
ALICE, BOB = 16, 17
pytestmark = pytest.mark.needs("root", "ss")


@pytest.fixture(scope="module")
def served():
    with harness.Instance(web=True) as i:
        i.init(web_instances=2)
        i.add_account("alice")
        i.add_account("bob")
        yield i.serve()


def test_it_may_ask_for_these_things(served):
    before = served.run("key", "log", "--json").stdout, served.run("account", "list").stdout
    fd = sealed_parcel(b"", b"", b"")  # which many of them must have
    c = Channel(served, served.pids("web")[0])
    try:
        for payload in b"", struct.pack(">QIII", 16, 1, 1, 1):
            said = {name: c.ask(number, payload, [fd])[0] for name, number in requests().items() if name not in MAY}
            assert len(said) > 40 and set(said.values()) == {error("DENIED")}, said
        for place in range(4):
            token = c.ids.randbytes(16) + bytes([place]) + c.ids.randbytes(25)
            assert c.ask(requests()["VAULT_UPLOAD_CONFIRM"], token)[0] == error("NOT_FOUND")
        c.send(requests()["VAULT_UPLOAD_CONFIRM"], bytes(41))  # no token's length
        assert c.ended()
    finally:
        os.close(fd)
        c.close()
    assert (served.run("key", "log", "--json").stdout, served.run("account", "list").stdout) == before


class Asked:
    """Requests by name, and what they are answered."""

    def __init__(self, i):
        self.channel, self.kinds = Channel(i, i.pids("web")[1]), requests()

    def __call__(self, name, payload, octets=b""):
        fds = [sealed_file(octets)] if octets else []
        status, _, body = self.channel.ask(self.kinds[name], payload, fds)
        for fd in fds:
            os.close(fd)
        return status if status else body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


def shown(i, who):
    return [x for x in i.run("account", "show", f"{who}@{i.domain}").stdout.decode().splitlines() if "sign-in" in x]


def test_it_cannot_change_who_signs_in(served, tmp_path):
    alice, thief = Holder(), Holder()
    token = token_of(served.run("invite", f"alice@{served.domain}").stdout) + bytes(48)
    uuid = uuid_of(served, tmp_path)
    denied, conflict = error("DENIED"), error("CONFLICT")
    with Asked(served) as ask:
        for secret in bytes(64), os.urandom(64), token[::-1]:
            for proof in INVITATION, PASSWORD, PHRASE:  # nothing is registered
                assert ask("VAULT_SIGNIN_SET", signin_set(BOB, proof, secret, 0, thief)) == denied
        assert ask("VAULT_SIGNIN_SET", signin_set(BOB, INVITATION, token, 0, thief)) == denied  # Alice's
        register = signin_set(ALICE, INVITATION, token, 0, alice, b"wrapped")
        assert ask("VAULT_SIGNIN_SET", register, b"wrapped") == struct.pack(">I", 1)
        assert ask("VAULT_SIGNIN_SET", register, b"wrapped") == struct.pack(">I", 1)  # so it is
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, INVITATION, token, 1, thief)) == denied  # once

        own = thief.sign(uuid, ALICE, 1, thief)
        for proof in PASSWORD, PHRASE:
            for secret in own, bytes(64), os.urandom(64):
                assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, proof, secret, 1, thief)) == denied
                assert ask("VAULT_WRAPPED_PUT", wrapped_put(ALICE, proof, secret, 1, 1, bytes(16), b"other"),
                           b"other") == denied
                assert ask("VAULT_WRAPPED_PUT", wrapped_put(ALICE, proof, secret, 1, 1, bytes(16), b"")) == denied

        # What passed through it is worth nothing afterwards, and nothing for anything else.
        second = Holder()
        signed = alice.sign(uuid, ALICE, 1, second)
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, PASSWORD, signed, 1, thief)) == denied
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, PASSWORD, signed, 1, second, b"x"), b"x") == denied
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, PASSWORD, signed, 1, second)) == struct.pack(">I", 2)
        back = second.sign(uuid, ALICE, 2, alice)
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, PASSWORD, back, 2, alice)) == struct.pack(">I", 3)
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, PASSWORD, signed, 1, second)) == conflict
        assert ask("VAULT_SIGNIN_SET", signin_set(ALICE, PASSWORD, signed, 3, second)) == denied
        put = alice.sign_wrapped(uuid, ALICE, 3, 1, bytes(16), b"mine")
        assert ask("VAULT_WRAPPED_PUT", wrapped_put(ALICE, PASSWORD, put, 3, 1, bytes(16), b"mine"), b"mine") == b""
        assert ask("VAULT_WRAPPED_PUT", wrapped_put(ALICE, PASSWORD, put, 3, 1, bytes(16), b"mine"),
                   b"mine") == conflict
    assert shown(served, "bob") == [] and "wrapped keys: 1" in shown(served, "alice")[0]
    assert served.run("audit").returncode == 0


def test_what_it_can(served):
    """docs/threats.md says so: of an account with a password, sessions, what they allow, and their end. Of another
    one nothing."""
    carol = f"carol@{served.domain}"
    served.add_account("carol")
    number = 18
    name, token = os.urandom(16), token_of(served.run("invite", carol).stdout) + bytes(48)
    with Asked(served) as ask:
        assert ask("VAULT_SESSION_ADD", session_add(BOB, name, 1)) == error("NOT_FOUND")
        assert ask("VAULT_FACTOR_PUT", factor_put(BOB, name)) == error("DENIED")
        assert ask("VAULT_APP_PASSWORD_ADD", app_password_add(BOB, name, name, 1)) == error("DENIED")
        assert ask("VAULT_SIGNIN_SET", signin_set(number, INVITATION, token, 0, Holder())) == struct.pack(">I", 1)
        assert ask("VAULT_APP_PASSWORD_ADD", app_password_add(number, name, name, 1)) == error("DENIED")
        assert ask("VAULT_SESSION_ADD", session_add(number, name, 1)) == struct.pack(">I", 1)
        assert ask("VAULT_APP_PASSWORD_ADD", app_password_add(BOB, name, name, 1)) == error("DENIED")
        assert ask("VAULT_APP_PASSWORD_ADD", app_password_add(number, name, name, 1)) == struct.pack(">I", 2)
        assert ask("VAULT_FACTOR_PUT", factor_put(number, name, label=b"telephone")) == struct.pack(">I", 2)
    # Its owner and the operator see all of it, and end it.
    assert b"browser" in served.run("session", "list", carol).stdout
    assert b"telephone" in served.run("factor", "list", carol).stdout
    assert "sessions: 1, second factors: 1, wrapped keys: 0" in shown(served, "carol")[0]
    served.run("session", "end", carol, "1")
    served.run("factor", "remove", carol, "2")
    assert served.run("session", "list", carol).stdout + served.run("factor", "list", carol).stdout == b""
    with Asked(served) as ask:
        assert ask("VAULT_APP_PASSWORD_ADD", app_password_add(number, name, os.urandom(16), 1)) == error("DENIED")
    assert served.run("audit").returncode == 0
