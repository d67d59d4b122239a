"""After somebody has signed in and out over HTTP, no process holds an invitation, a token or an exchange's last message
any more. Runs against the released build, because the sanitizers' allocator keeps what was freed."""
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from signing_in import by_phrase, finish, invite, octets, register, say, start, text  # noqa: E402
from test_nothing_remembered import search  # noqa: E402

pytestmark = pytest.mark.needs("root", "the released build")
ANN = f"ann@{harness.DOMAIN}"


@pytest.fixture(scope="module")
def i():
    with harness.Instance(binary=str(harness.released()), web=True) as instance:
        instance.init(web_instances=1)
        instance.add_account(ANN)
        yield instance.serve()


def held(i, words):
    """What of it which role has, in any case of letters."""
    words = {form.lower(): what for what, word in words.items() for form in (word.encode(), octets(word))}
    roles = [r for r in i.status()["roles"] if r["pid"]]
    found = {(r["role"], words[word]) for r in roles for word, *_ in search(r["pid"], list(words))[0]}
    return found - {("vault", "invitation")}  # that it has used up


def test_no_role_remembers_who_signed_in(i):
    words = {"invitation": invite(i, ANN)}
    register(i, ANN, "open sesame", words["invitation"])
    proof, words["id"] = start(i, ANN, "open sesame")
    words["proof"] = text(proof[0])
    status, said, _ = finish(i, proof, words["id"])
    assert status == 200, said
    words["token"] = said["token"]
    assert say(i, "GET", "/wrapped", token=words["token"])[0] == 200
    assert say(i, "DELETE", "/sessions/current", token=words["token"])[0] == 204
    status, said = by_phrase(i, ANN)
    words["token by the phrase"] = said["token"]
    assert say(i, "GET", "/sessions", token=said["token"])[0] == 200
    deadline = time.monotonic() + 60
    while (left := held(i, words)) and time.monotonic() < deadline:
        time.sleep(1)
    assert not left
