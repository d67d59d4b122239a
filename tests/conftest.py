import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*names): skipped, with a word, where something of that name is missing")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        harness.need(*mark.args)


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
