"""Certificates of tests/cases whose keys protect nothing, can never be sealed to, or need a word: what is said when
they are brought, and that nothing of them stays."""
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
