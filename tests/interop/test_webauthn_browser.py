"""Passkeys, our page's half and our server's, in Chromium with its virtual authenticators."""
import json
import pathlib
import subprocess

import harness
import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOOL = pathlib.Path(harness.BINARY).parent / "tests/unit/webauthn_tool"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    place = tmp_path_factory.mktemp("browser")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", place / "key",
                    "-out", place / "cert"], check=True, capture_output=True)
    module = subprocess.run([HERE / "fetch_npm", *harness.PLAYWRIGHT], check=True, capture_output=True,
                            text=True).stdout.strip()
    out = subprocess.run(["node", HERE / "webauthn_browser.mjs", module, harness.ROOT / "webmail-api/web", TOOL,
                          "/usr/bin/chromium", place / "cert", place / "key"], capture_output=True, text=True,
                         timeout=580)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


@pytest.mark.needs("node", "chromium", "openssl", "playwright-core (npm)")
@pytest.mark.parametrize("which, number", [("platform", 0), ("usb", 1)])
def test_made_and_used(seen, which, number):
    s = seen[which]
    assert s["made"] in ("ok 32 42", "ok 32 77")  # Ed25519, P-256
    assert [s[name].split()[:2] for name in ("used", "usedAgain")] == [["ok", str(number)]] * 2
    counts = [int(s[name].split()[2]) for name in ("used", "usedAgain")]
    assert counts == [0, 0] or counts[0] < counts[1]
    assert s["again"] == s["replayed"] == "not permitted"


@pytest.mark.needs("node", "chromium", "openssl", "playwright-core (npm)")
def test_its_secret_is_the_pages_alone(seen):
    """What the page sends has no octet of it, in any form; what the browser would make JSON of has, and is refused."""
    s = seen["platform"]
    assert s["hasSecret"] and s["secret"] == 64 and s["sameSecret"]
    assert s["requests"] == [True, True]  # what is searched has what was sent
    assert s["sentSecret"] is False
    assert s["wholeHasSecret"] is True
    assert s["whole"] == "malformed input"
    assert not seen["usb"]["hasSecret"] and seen["usb"]["secret"] == 0


@pytest.mark.needs("node", "chromium", "openssl", "playwright-core (npm)")
def test_an_address_has_none(seen):
    assert seen["address"] == "SecurityError"


@pytest.mark.needs("strace")
def test_nothing_is_opened_once_it_is_prepared(tmp_path):
    """libfido2 has a half for devices, and libcrypto a configuration: neither is looked for after webauthn_prepare."""
    log = tmp_path / "calls"
    form = json.dumps({"id": "AQ", "rawId": "AQ", "type": "public-key", "response": {
        "clientDataJSON": "e30", "authenticatorData": "AQ", "signature": "AQ"}}, separators=(",", ":"))
    typed = f"creation no\nmade {{}}\nrequest no\nused {form}\n"
    p = subprocess.run(["strace", "-f", "-o", log, TOOL, "localhost", "https://localhost"], input=typed,
                       capture_output=True, text=True, timeout=300, env={"ASAN_OPTIONS": "detect_leaks=0"})
    assert p.returncode == 0, p.stderr
    before, after = log.read_text().split('write(1, "ready\\n"', 1)
    assert p.stdout.splitlines()[0] == "ready" and len(p.stdout.splitlines()) == 5
    names = {line.split("(")[0].split()[-1] for line in after.splitlines() if "(" in line}
    assert "openat(" in before and "write" in names
    assert not names & {"open", "openat", "openat2", "access", "faccessat", "readlink", "getdents64", "socket",
                        "connect", "execve", "clone", "clone3", "fork", "vfork"}, names
