"""OPAQUE, our two halves beside those of npm's @serenity-kit/opaque: their password alone signs people in."""
import json
import pathlib
import shutil
import subprocess

import harness
import pytest

pytestmark = pytest.mark.needs("node", "@serenity-kit/opaque (npm)", "the packages of webmail-api/web (npm)")
HERE = pathlib.Path(__file__).resolve().parent


def fetched(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(script, *args):
    module = fetched(HERE / "fetch_npm", *harness.OPAQUE_CLIENT)
    tool = pathlib.Path(harness.BINARY).parent / "tests/unit/opaque_tool"
    out = subprocess.run(["node", "--no-warnings", HERE / script, *args, module, tool], capture_output=True, text=True,
                         timeout=300)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


@pytest.fixture(scope="module")
def seen():
    return run("opaque_client.mjs")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Our client's half, with its packages beside it."""
    web = tmp_path_factory.mktemp("web")
    shutil.copytree(harness.ROOT / "webmail-api/web/session", web / "session")
    (web / "node_modules").symlink_to(pathlib.Path(fetched(HERE / "fetch_web")) / "node_modules")
    return run("opaque_own.mjs", web)


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


# ---- our client's half ----

def test_the_first_vector(own):
    """RFC 9807, appendix C.1.1."""
    assert own["vector"] == {
        "request": "5059ff249eb1551b7ce4991f3336205bde44a105a032e747d21bf382e75f7a71",
        "record": "76a845464c68a5d2f7e442436bb1424953b17d3e2e289ccbaccafb57ac5c3675"
                  "1ac5844383c7708077dea41cbefe2fa15724f449e535dd7dd562e66f5ecfb958"
                  "64eadddec9db5874959905117dad40a4524111849799281fefe3c51fa82785c5"
                  "ac13171b2f17bc2c74997f0fce1e1f35bec6b91fe2e12dbd323d23ba7a38dfec"
                  "634b0f5b96109c198a8027da51854c35bee90d1e1c781806d07d49b76de6a28b"
                  "8d9e9b6c93b9f8b64d16dddd9c5bfb5fea48ee8fd2f75012a8b308605cdd8ba5",
        "export": "1ef15b4fa99e8a852412450ab78713aad30d21fa6966c9b8c9fb3262a970dc62"
                  "950d4dd4ed62598229b1b72794fc0335199d9f7fcc6eaedde92cc04870e63f16",
        "ke1": "c4dedb0ba6ed5d965d6f250fbe554cd45cba5dfcce3ce836e4aee778aa3cd44d"
               "da7e07376d6d6f034cfa9bb537d11b8c6b4238c334333d1f0aebb380cae6a6cc"
               "6e29bee50701498605b2c085d7b241ca15ba5c32027dd21ba420b94ce60da326",
        "ke3": "4455df4f810ac31a6748835888564b536e6da5d9944dfea9e34defb9575fe5e2"
               "661ef61d2ae3929bcf57e53d464113d364365eb7d1a57b629707ca48da18e442",
        "session": "42afde6f5aca0cfa5c163763fbad55e73a41db6b41bc87b8e7b62214a8eedc67"
                   "31fa3cb857d657ab9b3764b89a84e91ebcb4785166fbb02cedfcbdfda215b96f",
        "again": own["vector"]["export"],
    }


def test_each_octet_of_ke2_counts(own):
    assert own["changed"] == 320
    assert own["cut"] == ["RangeError"] * 3


def test_with_our_server(own):
    assert own["ours"] == [{"same": True, "key": True, "server": True}, None, None]


def test_with_the_others(own):
    assert own["theirClient"] and own["theirServer"]


def test_profiles_that_there_are_not(own):
    assert own["profiles"] == ["RangeError"] * 5
