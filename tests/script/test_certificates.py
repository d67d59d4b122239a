"""Certificates that people bring, at the command line: whose user ids stay, what is warned of, what is refused and how,
with the server running and without."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cli_tools import ALICE, DOMAIN, any_instance, certs, cold, harness, live, make, refused, run  # noqa: E402,F401
from key_tools import keys, ring, write  # noqa: E402,F401


def with_user_ids(ring, *user_ids):
    fpr = ring.make(user_ids[0])
    for u in user_ids[1:]:
        ring.unasked("--quick-add-uid", fpr, u)
    return fpr


def test_own_user_ids_alone_are_kept(any_instance, ring, tmp_path):
    i, ann = any_instance, f"ann@{DOMAIN}"
    fpr = with_user_ids(ring, "Ann <ann@example.net>", f"Ann <ANN+mail@{DOMAIN.upper()}>", f"news@{DOMAIN}",
                        "third@third.example")
    cert = write(tmp_path / "ann.asc", ring.export(fpr))
    p = i.run("account", "add", ann, "--key", cert)
    assert p.stderr == b"" and keys(i, ann)[fpr]["user_ids"] == [f"Ann <ANN+mail@{DOMAIN.upper()}>"]
    i.run("alias", "add", f"news@{DOMAIN}", ann)
    assert i.run("key", "add", ann, cert).stderr == b""
    assert set(keys(i, ann)[fpr]["user_ids"]) == {f"Ann <ANN+mail@{DOMAIN.upper()}>", f"news@{DOMAIN}"}
    i.run("account", "remove", ann)


def test_a_stranger_s_certificate_is_taken_with_a_warning(any_instance, ring, tmp_path):
    i, ben = any_instance, f"ben@{DOMAIN}"
    fpr = with_user_ids(ring, "other@example.net", "Else <else@example.net>")
    p = i.run("account", "add", ben, "--key", write(tmp_path / "ben.asc", ring.export(fpr)))
    said = p.stderr.decode()
    assert (
        said.count("\n") == 1
        and said.startswith("letterlock account add: ")
        and f"names {ben}" in said
        and "right file" in said
    )
    assert len(keys(i, ben)[fpr]["user_ids"]) == 1
    i.run("account", "remove", ben)


def test_no_user_id_speaks_to_the_terminal(any_instance, ring, tmp_path):
    """U+009B begins a terminal's commands as well as ESC [ does."""
    i, eve = any_instance, f"eve@{DOMAIN}"
    fpr = with_user_ids(ring, f"E\u009b31mve Ü <{eve}>")
    i.run("account", "add", eve, "--key", write(tmp_path / "eve.asc", ring.export(fpr)))
    assert keys(i, eve)[fpr]["user_ids"] == [f"E??31mve Ü <{eve}>"]
    for command in (["list", eve], ["show", eve, fpr]):
        said = i.run("key", *command).stdout
        assert b"\xc2\x9b" not in said and f"E??31mve Ü <{eve}>".encode() in said
    i.run("account", "remove", eve)


@pytest.fixture(scope="module")
def bad(ring, tmp_path_factory):
    """Name: file, words of the one line: what is wrong, how to make a good one."""
    folder = tmp_path_factory.mktemp("bad")
    good, other = ring.make("good@example.net"), ring.make("other@example.net")
    # No encryption subkey; too few bits.
    ring.unasked("--quick-gen-key", "sign@example.net", "ed25519", "sign", "0")
    ring.unasked("--quick-gen-key", "weak@example.net", "rsa1024", "default", "0")
    armoured, binary = ring.export(good), ring.gpg("--export", good).stdout
    secret = ring.secret(good, "--armor")
    v3 = b"\x99\x00\x14" + b"\x03" + bytes(6) + b"\x01" + b"\x00\x08\xff\x00\x02\x03" + bytes(6)
    made = {
        "secret": (secret, "SECRET", "gpg --export"),
        "secret, binary": (ring.gpg("--dearmor", data=secret).stdout, "SECRET", "gpg --export"),
        "two": (ring.gpg("--export", good, other).stdout, "more than one certificate", "give one"),
        "two blocks": (armoured + ring.export(other), "more than one certificate", "give one"),
        "signing only": (ring.export("sign@example.net"), "can sign only", "--quick-add-key"),
        "weak": (ring.export("weak@example.net"), "only 1024 bits of RSA", "--quick-gen-key"),
        "revoked": (ring.revoked(other), "revoked", ""),
        "text": (b"Dear server, here is my key.\n", "no OpenPGP certificate", "gpg --export"),
        "empty": (b"", "empty", "gpg --export"),
        "cut": (binary[:len(binary) // 2], "damaged", "gpg --export"),
        "a message": (ring.gpg("--armor", "-r", good, "--encrypt", data=b"x").stdout, "no OpenPGP certificate",
                      "gpg --export"),
        "version 3": (v3, "version 3", "--quick-gen-key"),
        "without user id": (binary[:2 + binary[1]], "no valid user id", "--quick-gen-key"),
        "too large": (bytes(1024 * 1024 + 1), "larger than 1 MB", "export-minimal"),
    }
    return {name: (write(folder / name.replace(" ", "-"), data), *words) for name, (data, *words) in made.items()}


def test_each_refusal_says_what_is_wrong_and_how_to_make_a_good_one(any_instance, bad):
    i, before = any_instance, keys(any_instance, ALICE)
    for name, (path, wrong, way_out) in bad.items():
        text = refused(i, "account", "add", f"new@{DOMAIN}", "--key", path, says=[wrong, way_out, str(path)])
        assert len(text) < 600, name
        refused(i, "key", "add", ALICE, path, says=wrong)
    assert keys(i, ALICE) == before
    refused(i, "account", "show", f"new@{DOMAIN}", says="new@")


def test_the_policy_is_taken_over_by_a_running_judge(live, certs):
    i, rsa = live, certs[0] / "rsa"
    i.configure(rsa_bits_min=3072)
    i.run("reload")
    try:
        refused(i, "key", "add", ALICE, rsa, says=["only 2048 bits of RSA", "3072 (rsa_bits_min)", "--quick-gen-key"])
    finally:
        i.configure(rsa_bits_min=2048)
        i.run("reload")
    i.run("key", "add", ALICE, rsa)


def test_the_policy_without_a_server(cold, certs):
    i, rsa = cold, certs[0] / "rsa"
    i.configure(rsa_bits_min=3072)
    try:
        refused(i, "key", "add", ALICE, rsa, says="3072 (rsa_bits_min)")
    finally:
        i.configure(rsa_bits_min=2048)
    i.run("key", "add", ALICE, rsa)
