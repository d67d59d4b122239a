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
from signing_in import API, finish, login, register, say, start, text  # noqa: E402

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


@pytest.fixture(scope="module", autouse=True)
def registered(i):
    return register(i, ANN, "open sesame")


def test_guesses_are_slowed_and_the_owner_is_not(i):
    answered, seconds, token = asyncio.run(guess_all(i, lambda: login(i, ANN, "open sesame")))
    assert token and set(answered) == {b"200"}
    assert 3 * PEERS <= len(answered) <= PEERS * min(EACH, most(seconds)), (len(answered), seconds)
    assert len(answered) < PEERS * EACH


async def guess_between(i, peer, again):
    """How many of so many guesses are answered, where each has so long for it; and the time of all."""
    answered, began = [], time.monotonic()
    for _ in range(12):
        again()
        task = asyncio.create_task(guess(i, peer, answered))
        await asyncio.wait([task], timeout=0.4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return len(answered), time.monotonic() - began


def test_one_good_login_pays_for_no_guesses(i, registered):
    """Somebody who has an account says the end of a good exchange again and again, and ends its session in
    between."""
    peer = "127.19.7.1"
    proof, id = start(i, ANN, "open sesame", peer=peer)

    def again():
        status, said, _ = finish(i, proof, id, {"peer": peer})
        assert status in (200, 410), said  # 60 s are over on a slow machine
        if status == 200:
            say(i, "DELETE", "/sessions/current", token=said["token"], peer=peer)
    answered, seconds = asyncio.run(guess_between(i, peer, again))
    assert answered <= most(seconds) + 1, (answered, seconds)
