"""OPAQUE beside npm's @serenity-kit/opaque: people sign up and in with their password alone."""
import json
import pathlib
import subprocess

import harness
import pytest

pytestmark = pytest.mark.needs("node", "@serenity-kit/opaque (npm)")
HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def seen():
    module = subprocess.run([HERE / "fetch_npm", *harness.OPAQUE_CLIENT], check=True, capture_output=True,
                            text=True).stdout.strip()
    tool = pathlib.Path(harness.BINARY).parent / "tests/unit/opaque_tool"
    out = subprocess.run(["node", "--no-warnings", HERE / "opaque_client.mjs", module, tool], capture_output=True,
                         text=True, timeout=300)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def test_whoever_has_the_password(seen):
    assert seen["sizes"]["record"] == 192
    assert seen["profile"]["sessionKey"] == seen["profile"]["serversKey"]
    assert seen["profile"]["exportKey"] == seen["export"]
    assert all(ours == theirs and same for ours, theirs, same in seen["keys"])
    assert len({ours for ours, _, _ in seen["keys"]}) == 50  # each time another


@pytest.mark.parametrize("what", ["wrong", "anothers", "cheaper", "nobody"])
def test_and_nobody_else(seen, what):
    assert seen[what] is None


def test_other_messages(seen):
    assert seen["mixed"] == "-"
    assert seen["odd"] == ["-"] * 5
