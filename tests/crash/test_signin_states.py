"""The rows of docs/crash-states.md about signing in: a process dies in the moment that the row names."""
import os
import struct
import tempfile

import harness
import pytest
from channels import Channel, error, requests, sealed_file
from holders import INVITATION, PASSWORD, Holder, session_add, signin_set, token_of, uuid_of
from test_states import role, stopped, until
from workload import kill

pytestmark = pytest.mark.needs("root", "ss")
ANN = 16


@pytest.fixture(scope="module")
def i():
    with harness.Instance(place=tempfile.mkdtemp(), web=True) as instance:
        instance.init(web_instances=1)
        instance.add_account("ann")
        yield instance.serve()


def ask(i, name, payload, octets=b""):
    """What the vault says, or nothing if it ends over it."""
    c, fds = Channel(i, role(i, "web")["pid"]), [sealed_file(octets)] if octets else []
    try:
        status, _, body = c.ask(requests()[name], payload, fds)
        return status or body
    except (EOFError, ConnectionError):
        return None
    finally:
        c.close()
        for fd in fds:
            os.close(fd)


def vault_dies_over(i, name, payload, octets=b""):
    """It is asked, and ends before it can answer; the next one is asked again."""
    vault = role(i, "vault")["pid"]
    c, fds = Channel(i, role(i, "web")["pid"]), [sealed_file(octets)] if octets else []
    with stopped(vault):
        c.send(requests()[name], payload, fds)
    kill([vault])
    c.close()
    for fd in fds:
        os.close(fd)
    until(lambda: role(i, "vault")["pid"] != vault, 120)
    return ask(i, name, payload, octets)


def test_who_signs_in_is_asked_again(i, tmp_path):
    """A registration by an invitation, which is good once, and a change that is signed: the vault dies when it has been
    asked; whatever it did, what was asked is done in the end, once."""
    first, second = Holder(), Holder()
    token = token_of(i.run("invite", f"ann@{i.domain}").stdout) + bytes(48)
    register = signin_set(ANN, INVITATION, token, 0, first, b"first")
    assert vault_dies_over(i, "VAULT_SIGNIN_SET", register, b"first") == struct.pack(">I", 1)
    signed = first.sign(uuid_of(i, tmp_path), ANN, 1, second, b"second")
    change = signin_set(ANN, PASSWORD, signed, 1, second, b"second")
    assert vault_dies_over(i, "VAULT_SIGNIN_SET", change, b"second") == struct.pack(">I", 2)
    assert ask(i, "VAULT_SIGNIN_SET", register, b"first") == error("CONFLICT")
    name = os.urandom(16)
    assert vault_dies_over(i, "VAULT_SESSION_ADD", session_add(ANN, name, 2)) == struct.pack(">I", 1)
    assert len(i.run("session", "list", f"ann@{i.domain}").stdout.splitlines()) == 1
    assert i.run("audit").returncode == 0
