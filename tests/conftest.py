import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*names): skipped, with a word, where something of that name is missing")
    if not hasattr(config, "workerinput"):  # the workers have it from the process that began them
        os.environ["LETTERLOCK_TEST_KEYS"] = tempfile.mkdtemp(prefix="letterlock-test-keys-", dir="/dev/shm")


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop("LETTERLOCK_TEST_KEYS"), ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        harness.need(*mark.args)


@pytest.fixture(autouse=True)
def no_sanitizer_reports():
    """An instance looks for them at its end too."""
    yield
    harness.look_for_reports()


@pytest.fixture(scope="module")
def server():
    """A served instance with alice (Curve25519) and bob (RSA)."""
    with harness.Instance() as i:
        i.init()
        i.add_account("alice")
        i.add_account("bob", algo="rsa")
        i.serve()
        yield i


@pytest.fixture
def instance():
    """An instance of its own, not yet made."""
    with harness.Instance() as i:
        yield i
