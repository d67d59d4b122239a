"""The rows of docs/crash-states.md about certificates that come in: a process dies in the moment that the row names."""
import concurrent.futures
import json
import tempfile
import time

import harness
import pytest
from test_states import role, stopped, until
from uploads import ask, expiry, found, links, upload, wait_mails
from workload import kill


@pytest.fixture(scope="module")
def i():
    with harness.Instance(place=tempfile.mkdtemp(), web=True) as instance:
        instance.init(web_instances=1, ingest_instances=1)
        yield instance.serve()


def renewed(i, address):
    i.keyring.unasked("--quick-set-expire", i.keyring.fingerprint(address), "7y")
    return i.keyring.export(address)


def token_of(i, address):
    """Of the only mail."""
    return links(i.keyring.decrypt(harness.armor_of(wait_mails(i, address, 1)[0])).decode())[0]


def verified(i, address):
    log = json.loads(i.run("key", "log", "--json").stdout)
    return [x["address"] for x in log if x["why"] == "verified"].count(address)


def test_no_mail_came(i):
    """ingest dies when it has asked the vault; or before, which is the other state of the row."""
    ann = i.add_account("ann")
    cert, vault, ingest = renewed(i, ann), role(i, "vault")["pid"], role(i, "ingest")["pid"]
    with stopped(vault):
        upload(i, cert, ann)
        time.sleep(0.5)
        kill([ingest])
    until(lambda: role(i, "ingest")["pid"] != ingest, 120)
    upload(i, cert, ann)
    assert ask(i, f"/verify/{token_of(i, ann)}", "POST", "")[0] == 200
    assert verified(i, ann) == 1 and i.run("audit").returncode == 0


@pytest.mark.parametrize("victim", ["vault", "web"])
def test_the_word_comes_again(i, victim):
    """The vault dies over it; or web does, whose question stands."""
    bea = i.add_account(f"bea-{victim}")
    before = expiry(i.keyring, found(i, bea))
    upload(i, renewed(i, bea), bea)
    token, vault, web = token_of(i, bea), role(i, "vault")["pid"], role(i, "web")["pid"]

    def press():
        try:
            return ask(i, f"/verify/{token}", "POST", "")[0]
        except OSError:
            return 0
    with concurrent.futures.ThreadPoolExecutor() as pool, stopped(vault):
        pressed = pool.submit(press)
        time.sleep(0.5)
        kill([vault if victim == "vault" else web])
        if victim == "web":
            assert pressed.result(120) == 0
    if victim == "vault":
        assert pressed.result(120) in (200, 503)
    until(lambda: role(i, victim)["pid"] != (vault if victim == "vault" else web), 120)
    until(lambda: press() in (200, 404), 120)
    assert int(expiry(i.keyring, found(i, bea))) > int(before)
    assert verified(i, bea) == 1 and i.run("audit").returncode == 0
