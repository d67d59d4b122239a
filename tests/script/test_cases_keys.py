"""Certificates of tests/cases whose keys protect nothing, can never be sealed to, or need a word: what is said when
they are brought, and that nothing of them stays."""
import base64
import pathlib
import re
import subprocess

import harness
import pytest

CASES = harness.ROOT / "tests/cases"
ALICE, ANN = "alice@example.test", "ann@example.test"

REFUSED = {
    "k-kdf-sha1-3des": "its key derivation is not SHA-2 with AES",
    "k-kdf-sha1-aes128": "its key derivation is not SHA-2 with AES",
    "k-kdf-sha256-3des": "its key derivation is not SHA-2 with AES",
    "q-cv-noprefix": "its point is not written in the one form that is allowed",
    "q-p256-comp": "its point is not written in the one form that is allowed",
    "q-p256-off": "its point is not on its curve",
    "r-e1": "its RSA exponent is 1, even or too long",
    "r-e2": "its RSA exponent is 1, even or too long",
}


@pytest.fixture(scope="module")
def instance():
    with harness.Instance() as i:
        i.init().run("domain", "add", "example.test")
        i.keyring.import_file(CASES / "alice.asc")
        certificate = i.place / "alice.cert"
        certificate.write_bytes(i.keyring.export(ALICE))
        i.run("account", "add", ALICE, "--key", certificate)
        yield i.serve()


@pytest.mark.parametrize("name", REFUSED)
def test_a_key_that_protects_nothing_is_refused_with_its_reason(instance, name):
    for command in (("account", "add", ANN, "--key"), ("key", "add", ALICE)):
        out = instance.run(*command, CASES / f"{name}.asc", check=False)
        assert out.returncode == 1
        assert REFUSED[name] in out.stderr.decode() and out.stderr.count(b"\n") == 1
    assert ANN not in instance.run("account", "list").stdout.decode()


def test_a_key_that_asks_for_the_newer_format_warns_and_says_what_to_do(instance):
    out = instance.run("account", "add", ANN, "--key", CASES / "k-longflags.asc")
    assert b"gpg and Thunderbird cannot open" in out.stderr and b"--seal-v2 never" in out.stderr
    assert b"SEIPD v2" in instance.run("key", "list", ANN).stdout
    assert b"seal-v2  auto" in instance.run("account", "show", ANN).stdout
    instance.app_password(ANN)
    for n, (setting, version) in enumerate((("auto", 2), ("never", 1), ("auto", 2))):
        instance.run("account", "set", ANN, "--seal-v2", setting)
        assert f"seal-v2  {setting}".encode() in instance.run("account", "show", ANN).stdout
        assert instance.send(ANN, harness.crlf(f"Subject: {n}\n\ntext\n")) == {}
        served = list(instance.fetch_all(ANN).values())[-1]
        listed = subprocess.run(["gpg", "--list-packets", "--batch"], input=harness.armor_of(served),
                                capture_output=True, check=False).stdout
        assert (b":pubkey enc packet: [unknown version]" in listed) == (version == 2), listed
    assert instance.run("account", "set", ANN, "--seal-v2", "always", check=False).returncode == 2
    instance.run("account", "remove", ANN)


def test_a_key_of_the_future_says_that_a_clock_is_wrong(tmp_path):
    text = (CASES / "k-future2min.asc").read_text(encoding="ascii")
    body = re.search(r"\n\r?\n(.*?)\n=", text, re.S).group(1)
    (tmp_path / "ring").write_bytes(base64.b64decode(body))
    made = 1795937033
    judge = pathlib.Path(harness.BINARY).parent / "tests/unit/keyring_judge"
    for now, error in ((made - 120, 16), (made - 1, 16), (made, 0)):
        out = subprocess.run([judge, tmp_path / "ring", str(now), "0", "1"], capture_output=True, check=True, text=True)
        line = out.stdout.rstrip("\n").split("\t")
        assert int(line[1]) == error
        assert not error or "it is from the future (2026-11-29, " in line[-1] and "clock" in line[-1]
