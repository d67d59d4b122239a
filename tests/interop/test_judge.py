"""Native judging beside OpenPGP.js, which knows the same kinds of certificate: the key that seals, now and at other
times."""
import pathlib
import subprocess

import harness
import pytest
from openpgp_peers import OpenPGPjs, openpgpjs_module

pytestmark = pytest.mark.needs("OpenPGP.js (npm)")
HERE = pathlib.Path(__file__).resolve().parent
# What make_certs.mjs makes begins on 2024-01-01 and grows on 2025-01-01.
TIMES = {"before": 1704067199, "first": 1704067200, "2024": 1720000000, "before more": 1735689599, "more": 1735689600,
         "2026": 1767225600}


@pytest.fixture(scope="module")
def openpgpjs():
    js = OpenPGPjs()
    yield js
    js.close()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    """Fresh ones: other keys and salts each time."""
    d = tmp_path_factory.mktemp("certs")
    subprocess.run(["node", HERE / "make_certs.mjs", openpgpjs_module(), d / "certs.h", d / "all"], check=True,
                   capture_output=True)
    return sorted((d / "all").iterdir())


def tool():
    path = pathlib.Path(harness.BINARY).parent / "tests/interop/judge_tool"
    assert path.exists()
    return path


def ours(cert, now):
    out = subprocess.run([tool(), "--now", str(now), cert], check=True, capture_output=True, text=True).stdout.split()
    fpr, fault, expires = out[3], out[1], int(out[4])
    return fpr, fault, bool(expires and expires <= now)


def chosen(js, now, certs):
    return [js.ask(op="choose", path=str(c), seconds=now)["fingerprint"].upper() for c in certs]


@pytest.mark.parametrize("when", TIMES)
def test_same_key_as_openpgpjs(certs, openpgpjs, when):
    now = TIMES[when]
    sealed = 0
    for cert, want in zip(certs, chosen(openpgpjs, now, certs), strict=True):
        fpr, fault, expired = ours(cert, now)
        if expired:  # sealed to all the same: losing mail helps nobody
            assert (fault, want) == ("ok", "-"), cert.name
            continue
        assert fpr == want, (cert.name, fault)
        sealed += fault == "ok"
    assert (sealed == 0) == (when == "before")


def test_minimal_copies_are_read_alike(certs, openpgpjs, tmp_path):
    now = TIMES["2026"]
    kept = []
    for cert in certs:
        fpr, fault, expired = ours(cert, now)
        if fault == "ok" and not expired:
            copy = tmp_path / cert.name
            minimal = [tool(), "--now", str(now), "--minimal", cert]
            copy.write_bytes(subprocess.run(minimal, check=True, capture_output=True).stdout)
            kept.append((copy, fpr))
    assert chosen(openpgpjs, now, [c for c, _ in kept]) == [fpr for _, fpr in kept]
    assert len(kept) > 8
