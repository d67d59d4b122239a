import tempfile

import harness
import pytest


@pytest.fixture
def instance():
    """One of its own, not yet made, on a disk."""
    with harness.Instance(place=tempfile.mkdtemp()) as i:
        yield i
