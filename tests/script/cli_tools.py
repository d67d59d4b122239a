"""What the tests of the command line share: running a command, what a refusal looks like, instances."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from harness import DOMAIN  # noqa: E402

def run(i, *args, env=None, data=None):
    return subprocess.run([i.binary, *map(str, args)], env=dict(i.env, **env or {}), input=data, capture_output=True,
                          timeout=60, start_new_session=True)


def refused(i, *args, says, env=None, data=None):
    """Exit 1, nothing on stdout, one line on stderr with these words in it."""
    p = run(i, *args, env=env, data=data)
    text = p.stderr.decode()
    assert p.returncode == 1, (args, p.returncode, text, p.stdout)
    assert text.count("\n") == 1 and text.startswith("letterlock " + str(args[0])), text
    for word in [says] if isinstance(says, str) else says:
        assert word in text, text
    return text


def usage(i, *args):
    p = run(i, *args)
    assert p.returncode == 2 and p.stdout == b"" and p.stderr, (args, p.returncode, p.stderr, p.stdout)
    return p.stderr.decode()


def lines(i, *args):
    return i.run(*args).stdout.decode().splitlines()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Certificates of two readers, an RSA one, and the keyring that holds their secrets."""
    ring = harness.Keyring(f"/dev/shm/letterlock-cli-{os.getpid()}")
    folder = tmp_path_factory.mktemp("certs")
    for name, algo in (("one", "future-default"), ("two", "future-default"), ("rsa", "rsa")):
        (folder / name).write_bytes(ring.generate(f"{name}@example.net", algo))
    yield folder, ring
    ring.close()
    shutil.rmtree(ring.path, ignore_errors=True)


def make(certs, serve, names=("alice",)):
    i = harness.Instance()
    try:
        i.init(reader_turn_ms=100)
        for name in names:
            address = f"{name}@{DOMAIN}"
            i.run("account", "add", address, "--key", certs[0] / "one")
            i.app_password(address)
        if serve:
            i.serve()
    except BaseException:
        i.close()
        raise
    return i


@pytest.fixture(scope="module")
def cold(certs):
    with make(certs, False) as i:
        yield i


@pytest.fixture(scope="module")
def live(certs):
    with make(certs, True) as i:
        yield i


@pytest.fixture(params=["cold", "live"])
def any_instance(request):
    """With a server running, and without."""
    return request.getfixturevalue(request.param)


ALICE = f"alice@{DOMAIN}"


def bare(tmp_path, name="server"):
    """An instance's folder, without a harness's settings."""
    i = harness.Instance(place=tmp_path / "place")
    i.dir = i.place / name
    shutil.rmtree(i.keyring.path)  # the readers' keys are in that of certs
    i.env["LETTERLOCK_DIR"] = str(i.dir)
    i.env.pop("CREDENTIALS_DIRECTORY", None)
    return i


@pytest.fixture
def fresh(tmp_path):
    i = bare(tmp_path)
    yield i
    i.close()
