"""A subverted `web`: what it may ask the vault for, over the channel that it has, is that what waits under a token be
published, and it has no token."""
import os
import pathlib
import struct
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from test_subverted_ingest import Channel, error, requests, sealed_parcel  # noqa: E402

MAY = {"VAULT_UPLOAD_CONFIRM"}
pytestmark = pytest.mark.needs("root", "ss")


@pytest.fixture(scope="module")
def served():
    with harness.Instance(web=True) as i:
        i.init(web_instances=2)
        i.add_account("alice")
        yield i.serve()


def test_it_may_ask_for_one_thing(served):
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
