"""A thousand guesses at once from a hundred peers, at a password over HTTP: no more of them are answered than
docs/api.md says, whichever process takes them, and the owner signs in meanwhile from elsewhere."""
import asyncio
import json
import pathlib
import ssl
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import opaque  # noqa: E402
from signing_in import API, login, register, text  # noqa: E402

ANN = f"ann@{harness.DOMAIN}"
PEERS, EACH = 100, 10
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


@pytest.fixture(scope="module")
def i():
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=2)
        instance.add_account(ANN)
        yield instance.serve()


def most(seconds):
    """Guesses of one peer that may be answered in a time: three, then after 500 ms, 1 s, 2 s... from one to the next.
    Within a minute nothing is forgotten that would shorten the first of these waits by more than one step."""
    n, waited, wait = 3, 0, 0.5
    while waited + wait <= seconds:
        waited, wait, n = waited + wait, min(2 * wait, 30), n + 1
    return n + int(seconds / 30)  # what is forgotten: half in a minute


async def guess(i, peer, answered):
    body = json.dumps({"address": ANN, "ke1": text(opaque.Login("guess").ke1)})
    reader, writer = await asyncio.open_connection("127.0.0.1", i.port("https"), ssl=CONTEXT, local_addr=(peer, 0))
    writer.write(f"POST {API}/opaque/login/start HTTP/1.1\r\nHost: {harness.DOMAIN}\r\n"
                 f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        answered.append(head.split()[1])
    finally:
        writer.transport.abort()


async def guess_all(i, meanwhile):
    answered, began = [], time.monotonic()
    tasks = [asyncio.create_task(guess(i, f"127.{20 + p}.7.1", answered)) for p in range(PEERS) for _ in range(EACH)]
    try:
        deadline = time.monotonic() + 300
        while len(answered) < 3 * PEERS and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        done = await asyncio.to_thread(meanwhile)
        n = len(answered)
        return answered[:n], time.monotonic() - began, done
    finally:
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_guesses_are_slowed_and_the_owner_is_not(i):
    register(i, ANN, "open sesame")
    answered, seconds, token = asyncio.run(guess_all(i, lambda: login(i, ANN, "open sesame")))
    assert token and set(answered) == {b"200"}
    assert 3 * PEERS <= len(answered) <= PEERS * min(EACH, most(seconds)), (len(answered), seconds)
    assert len(answered) < PEERS * EACH
