"""letterlock key: states, renewal, revocation, and which mail needs which key, with the server running and without."""
import base64
import json
import pathlib
import re
import smtplib
import subprocess
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "interop")]
from cli_tools import (ALICE, DOMAIN, any_instance, certs, cold, harness, lines, live, refused,  # noqa: E402,F401
                       run, usage)
from key_tools import account, add, keys, ring, states, told, write  # noqa: E402,F401
from openpgp_peers import OpenPGPjs  # noqa: E402


def test_key(any_instance, certs):
    i, folder, keyring = any_instance, *certs
    one, two, rsa = (keyring.fingerprint(f"{n}@example.net") for n in ("one", "two", "rsa"))
    assert [x.split()[:2] for x in lines(i, "key", "list", ALICE)] == [["current", one]]
    refused(i, "key", "retire", ALICE, one, says=["last current", "add another"])
    for command in ("retire", "current", "show", "messages"):
        refused(i, "key", command, ALICE, two, says="no such key")
        refused(i, "key", command, ALICE, one[-16:], says=["whole fingerprint", "key list"])
    refused(i, "key", "add", ALICE, "/etc/hostname", says="/etc/hostname")
    refused(i, "key", "add", "nobody@" + DOMAIN, folder / "two", says="nobody@")
    said = i.run("key", "add", ALICE, folder / "two").stdout.decode()
    assert said.startswith(f"{two}  current") and "stay current" in said and said.splitlines()[-1].strip() == one
    i.run("key", "add", ALICE, folder / "rsa")
    i.run("key", "add", ALICE, folder / "two")
    rows = lines(i, "key", "list", ALICE)
    assert len(rows) == 3 and {r.split()[0] for r in rows} == {"current"}
    assert len([r for r in rows if "EdDSA/Ed25519 ECDH/Curve25519" in r]) == 2 and "RSA/2048 RSA/2048" in "".join(rows)
    spaced = " ".join(two[k:k + 4] for k in range(0, 40, 4)).lower()
    said = i.run("key", "retire", ALICE, spaced).stdout.decode()
    assert said.startswith(f"{two}  retired") and "1 stored messages are sealed to it, 0 of them" in said
    i.run("key", "retire", ALICE, rsa)
    i.run("key", "retire", ALICE, rsa)  # once more changes nothing
    assert sorted(states(i, ALICE).values()) == ["current", "retired", "retired"]
    refused(i, "key", "retire", ALICE, one, says="last current")
    said = i.run("key", "current", ALICE, two).stdout.decode()
    assert said.startswith(f"{two}  current") and one in said and rsa not in said
    assert states(i, ALICE) == {one: "current", two: "current", rsa: "retired"}
    i.run("key", "retire", ALICE, one)
    i.run("key", "current", ALICE, one)
    i.run("key", "retire", ALICE, two)


def test_what_is_shown(any_instance, certs):
    i, one, rsa = any_instance, *(certs[1].fingerprint(f"{n}@example.net") for n in ("one", "rsa"))
    k = keys(i, ALICE)[one]
    assert (k["primary"]["algorithm"], k["primary"]["curve"]) == ("EdDSA", "Ed25519")
    assert (k["encryption"]["algorithm"], k["encryption"]["curve"],
            k["encryption"]["bits"]) == ("ECDH", "Curve25519", 255)
    assert len(k["encryption"]["fingerprint"]) == 40 and k["encryption"]["fingerprint"] != one
    assert (k["sealed_by"], k["seipd"], k["expired"], k["messages"]) == ("native", 1, False, 3)
    assert k["created"] <= k["added"] and k["former_encryption"] == [] and any("one@" in u for u in k["user_ids"])
    assert k == json.loads(i.run("key", "show", ALICE, one, "--json").stdout)
    text = i.run("key", "show", ALICE, one).stdout.decode()
    assert text.startswith(one + "\n") and k["encryption"]["fingerprint"] in text
    for words in ("state       current", "EdDSA/Ed25519", "ECDH/Curve25519", "the native engine", "SEIPD v1"):
        assert words in text, words
    r = keys(i, ALICE)[rsa]
    assert r["primary"] == {"algorithm": "RSA", "bits": 2048} and r["state"] == "retired" and r["ended"] >= r["added"]
    assert " since " in i.run("key", "show", ALICE, rsa).stdout.decode()
    notices = json.loads(i.run("key", "messages", ALICE, one, "--json").stdout)
    assert len(notices) == 3 and {n["mailbox"] for n in notices} == {"INBOX"}
    assert json.loads(i.run("key", "messages", ALICE, rsa, "--json").stdout) == []
    assert i.run("key", "messages", ALICE, rsa).stdout == b""


def test_a_revoked_key_seals_no_more(live, ring, tmp_path):
    """Told by `key add`, with the revocation: even the last key ends, and mail waits at its senders."""
    i, one, two, three = live, *(ring.make(f"carl@{DOMAIN}") for _ in range(3))
    carl = account(i, ring, tmp_path, "carl", one)
    add(i, ring, tmp_path, carl, two)
    i.send(carl, harness.mail(subject="both"))
    old = ring.export(one)
    refused(i, "key", "add", ALICE, write(tmp_path / "a2", ring.revoked(one)), says=["revoked", "no such key"])
    p = i.run("key", "add", carl, tmp_path / "a2")
    assert b"no longer sealed" in p.stderr and b"last" not in p.stderr
    assert states(i, carl) == {one: "revoked", two: "current"} and keys(i, carl)[one]["revoked"] == "certificate"
    refused(i, "key", "current", carl, one, says=["revoked", "new key"])
    refused(i, "key", "add", carl, write(tmp_path / "old", old), says=["revoked", "new key"])
    i.run("key", "retire", carl, one)  # it is not even that any more
    i.send(carl, harness.mail(subject="one"))
    p = i.run("key", "revoke", carl, write(tmp_path / "b2", ring.revoked(two)))
    assert b"the last key" in p.stderr
    i.run("key", "add", carl, tmp_path / "b2")  # once more changes nothing
    assert set(states(i, carl).values()) == {"revoked"}
    with pytest.raises(smtplib.SMTPRecipientsRefused) as e:
        i.send(carl, harness.mail(subject="none"))
    code, text = next(iter(e.value.recipients.values()))
    assert code == 450 and text.startswith(b"4.7."), (code, text)
    assert {"account": carl, "state": "none"} in i.status()["keys"]
    assert f"{carl} has no current key" in i.run("status").stdout.decode()
    assert i.run("audit").returncode == 0
    add(i, ring, tmp_path, carl, three)
    i.send(carl, harness.mail(subject="again"))
    i.run("account", "remove", carl)


def test_revocation_certificates(any_instance, ring, tmp_path):
    i, one, two = any_instance, *(ring.make(f"rita@{DOMAIN}") for _ in range(2))
    rita = account(i, ring, tmp_path, "rita", one)
    add(i, ring, tmp_path, rita, two)
    before = keys(i, rita)
    refused(i, "key", "add", rita, write(tmp_path / "g", ring.revocation(one, guarded=True)),
            says=["colon", "take it away"])
    refused(i, "key", "revoke", rita, write(tmp_path / "c", ring.export(one)), says="nobody has revoked")
    refused(i, "key", "revoke", ALICE, write(tmp_path / "r1", ring.revocation(one)),
            says=[ALICE, "no key that this revokes"])
    # A signature that its key did not make
    binary = ring.gpg("--dearmor", data=ring.revocation(one)).stdout
    for at in (len(binary) - 1, len(binary) - 20):
        forged = bytearray(binary)
        forged[at] ^= 1
        refused(i, "key", "revoke", rita, write(tmp_path / "f", bytes(forged)),
                says=["not made by the key", "nothing has changed"])
    refused(i, "key", "revoke", rita, write(tmp_path / "f", binary[:-3]), says=str(tmp_path / "f"))
    assert keys(i, rita) == before
    p = i.run("key", "add", rita, write(tmp_path / "bin", binary))
    assert b"no longer sealed" in p.stderr
    assert states(i, rita) == {one: "revoked", two: "current"}
    i.run("key", "revoke", rita, tmp_path / "r1")
    p = i.run("key", "revoke", rita, write(tmp_path / "r2", ring.revocation(two)))
    assert b"the last key" in p.stderr and states(i, rita) == {one: "revoked", two: "revoked"}
    i.run("account", "remove", rita)


@pytest.mark.needs("sq")
def test_the_revocation_that_sq_makes(any_instance, tmp_path):
    """It comes armoured as a signature."""
    i, sue = any_instance, f"sue@{DOMAIN}"
    for args in (["generate", "--userid", f"<{sue}>", "--export", "k", "--rev-cert", "r"],
                 ["extract-cert", "k", "-o", "c"]):
        subprocess.run(["sq", "key", *args], cwd=tmp_path, check=True, capture_output=True)
    assert b"BEGIN PGP SIGNATURE" in (tmp_path / "r").read_bytes()
    i.run("account", "add", sue, "--key", tmp_path / "c")
    assert b"the last key" in i.run("key", "revoke", sue, tmp_path / "r").stderr
    assert list(states(i, sue).values()) == ["revoked"]
    i.run("account", "remove", sue)


def test_an_encryption_key_is_revoked(any_instance, ring, tmp_path):
    """The certificate is good: with another encryption key it comes back, with the revoked one it does not."""
    i, one = any_instance, ring.make(f"sam@{DOMAIN}")
    old = ring.export(one)
    sam = account(i, ring, tmp_path, "sam", one)
    ring.gpg("--command-fd", "0", "--no-batch", "--pinentry-mode", "loopback", "--passphrase", "", "--edit-key", one,
             data=b"key 1\nrevkey\ny\n1\n\ny\nsave\n")
    p = i.run("key", "add", sam, write(tmp_path / "e", ring.export(one)))
    assert b"encryption key has been revoked" in p.stderr and b"the last key" in p.stderr
    assert states(i, sam) == {one: "revoked"} and keys(i, sam)[one]["revoked"] == "encryption key"
    refused(i, "key", "current", sam, one, says="revoked")
    refused(i, "key", "add", sam, write(tmp_path / "old", old), says="revoked")
    ring.add_subkey(one)
    add(i, ring, tmp_path, sam, one)
    k = keys(i, sam)[one]
    assert k["state"] == "current" and len(k["former_encryption"]) == 1 and k["ended"] is None
    i.run("account", "remove", sam)


def revoke_subkey(ring, fpr, which):
    ring.gpg("--command-fd", "0", "--no-batch", "--pinentry-mode", "loopback", "--passphrase", "", "--edit-key", fpr,
             data=f"key {which}\nrevkey\ny\n1\n\ny\nsave\n".encode())


def test_an_older_copy_takes_nothing_back(any_instance, ring, tmp_path):
    """One from before the encryption key was changed would have mail sealed to the old one, revoked perhaps, or end the
    new one."""
    i, one = any_instance, ring.make(f"tina@{DOMAIN}")
    plain = write(tmp_path / "plain", ring.export(one))
    tina = account(i, ring, tmp_path, "tina", one)
    first = keys(i, tina)[one]["encryption"]
    revoke_subkey(ring, one, 1)
    ended = write(tmp_path / "ended", ring.export(one))
    ring.add_subkey(one)
    add(i, ring, tmp_path, tina, one)
    before = keys(i, tina)
    assert before[one]["encryption"] != first and before[one]["state"] == "current"
    for copy in (plain, ended):
        refused(i, "key", "add", tina, copy, says=["older copy", "export it again"])
        assert keys(i, tina) == before
    refused(i, "key", "revoke", tina, ended, says="older copy")
    # With the newer key in it, revoked, the certificate says who is right
    ring.add_subkey(one)
    revoke_subkey(ring, one, 3)
    add(i, ring, tmp_path, tina, one)
    assert keys(i, tina) == before
    ring.add_subkey(one)
    add(i, ring, tmp_path, tina, one)
    revoke_subkey(ring, one, 4)
    add(i, ring, tmp_path, tina, one)
    assert keys(i, tina)[one]["encryption"] == before[one]["encryption"]
    i.run("account", "remove", tina)


def test_an_older_copy_with_the_same_keys(any_instance, ring, tmp_path):
    """It would take an expiry back that its owner has moved."""
    i, one = any_instance, ring.make(f"tove@{DOMAIN}", "1y")
    plain = write(tmp_path / "plain", ring.export(one))
    tove = account(i, ring, tmp_path, "tove", one)
    time.sleep(1.1)  # signatures bear seconds
    ring.extend(one, "3y")
    add(i, ring, tmp_path, tove, one)
    before = keys(i, tove)
    refused(i, "key", "add", tove, plain, says=["older copy", "export it again"])
    assert keys(i, tove) == before
    add(i, ring, tmp_path, tove, one)
    i.run("account", "remove", tove)


def test_renewal_and_which_mail_needs_which_key(live, ring, tmp_path):
    i, one, two = live, ring.make(f"nora@{DOMAIN}"), ring.make(f"nora@{DOMAIN}")
    nora = account(i, ring, tmp_path, "nora", one)
    first = keys(i, nora)[one]
    i.send(nora, harness.mail(subject="old subkey"))
    ring.extend(one, "5y")
    add(i, ring, tmp_path, nora, one)
    longer = keys(i, nora)[one]
    assert longer["expires"] > first["expires"] and longer["added"] == first["added"]
    assert longer["encryption"] == first["encryption"] and longer["former_encryption"] == []
    ring.add_subkey(one)
    add(i, ring, tmp_path, nora, one)
    k = keys(i, nora)[one]
    assert k["former_encryption"] == [first["encryption"]["fingerprint"]] != [k["encryption"]["fingerprint"]]
    assert (k["messages"], k["messages_needing"]) == (1, 1)
    assert first["encryption"]["fingerprint"] in i.run("key", "show", nora, one).stdout.decode()
    i.send(nora, harness.mail(subject="new subkey"))
    add(i, ring, tmp_path, nora, two)
    told(i, ring, nora, two)
    i.send(nora, harness.mail(subject="both"))
    assert {f: (k["messages"], k["messages_needing"]) for f, k in keys(i, nora).items()} == {one: (3, 2), two: (1, 0)}
    said = i.run("key", "retire", nora, one).stdout.decode()
    assert (
        "3 stored messages are sealed to it, 2 of them to no other key" in said and f"key messages {nora} {one}" in said
    )
    i.send(nora, harness.mail(subject="second key"))
    # Where they stand
    m = i.imap(nora)
    m.create("Kept/h&AOQ-user")
    m.select("INBOX")
    m.uid("COPY", "2,4", '"Kept/h&AOQ-user"')
    m.uid("STORE", "1", "+FLAGS", r"\Deleted")
    m.expunge()
    validity = {}
    for box in ("INBOX", '"Kept/h&AOQ-user"'):
        validity[box] = m.status(box, "(UIDVALIDITY)")[1][0].split()[-1].rstrip(b")").decode()
    m.logout()
    rows = [r.split("\t") for r in lines(i, "key", "messages", nora, one)]
    inbox, kept = validity["INBOX"], validity['"Kept/h&AOQ-user"']
    assert rows == [["INBOX", inbox, "2"], ["INBOX", inbox, "4"], ["Kept/häuser", kept, "1"],
                    ["Kept/häuser", kept, "2"]]
    listed = json.loads(i.run("key", "messages", nora, one, "--json").stdout)
    assert [(r["mailbox"], r["uid"], r["only"]) for r in listed] == [
        ("INBOX", 2, True), ("INBOX", 4, False), ("Kept/häuser", 1, True), ("Kept/häuser", 2, False)]
    assert [r.split("\t")[2] for r in lines(i, "key", "messages", nora, two)] == ["4", "5", "2"]
    assert {f: (k["messages"], k["messages_needing"]) for f, k in keys(i, nora).items()} == {one: (2, 1), two: (2, 1)}
    # Nothing left under it
    m = i.imap(nora)
    for box in ('"Kept/h&AOQ-user"', "INBOX"):
        m.select(box)
        m.uid("STORE", "1:*", "+FLAGS", r"\Deleted")
        m.expunge()
    m.logout()
    assert "No stored message is sealed to it" in i.run("key", "retire", nora, one).stdout.decode()
    i.run("account", "remove", nora)


def replaced(m, box, uid, flags, date, message):
    """UID REPLACE (RFC 8508)."""
    m.literal = message
    typ, data = m._simple_command("UID", "REPLACE", uid, box, flags, date)
    assert typ == "OK", data


def test_a_client_moves_old_mail_to_the_new_key(live, ring, tmp_path):
    """What `key messages` is for, done as its help says: date, flags and content stay, the old key is needed no
    more."""
    i, one, two = live, ring.make(f"olga@{DOMAIN}"), ring.make(f"olga@{DOMAIN}")
    olga = account(i, ring, tmp_path, "olga", one)
    sent = [harness.mail(subject=f"Letter {n}", to=olga) for n in range(3)]
    for n, message in enumerate(sent):
        i.send(olga, message)
    add(i, ring, tmp_path, olga, two)
    told(i, ring, olga, two)
    i.run("key", "retire", olga, one)
    m = i.imap(olga)
    assert b" REPLACE" in m.capability()[1][0]
    m.select("INBOX")
    m.uid("STORE", "2", "FLAGS", r"(\Seen \Flagged $Work)")

    def facts():
        rows = [x for x in m.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE)")[1]]
        return [(re.search(rb'INTERNALDATE "([^"]+)"', r).group(1),
                 set(re.search(rb"FLAGS \(([^)]*)\)", r).group(1).split()) - {rb"\Recent"})
                for r in rows]

    before = facts()
    for row in lines(i, "key", "messages", olga, one):
        box, validity, uid = row.split("\t")
        assert m.status(box, "(UIDVALIDITY)")[1][0].split()[-1] == validity.encode() + b")"
        (head, rendered), _ = m.uid("FETCH", uid, "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        date = re.search(rb'INTERNALDATE ("[^"]+")', head).group(1).decode()
        flags = "(" + " ".join(f for f in re.search(rb"FLAGS \(([^)]*)\)", head).group(1).decode().split()
                               if f != r"\Recent") + ")"
        inner = ring.decrypt(harness.armor_of(rendered))
        armour = ring.gpg("--armor", "--encrypt", "--recipient", two, data=inner).stdout.replace(b"\n", b"\r\n")
        old = harness.armor_of(rendered)[:-1]
        begin = rendered.index(old)
        replaced(m, box, uid, flags, date, rendered[:begin] + armour.rstrip() + rendered[begin + len(old):])
    m.select("INBOX")
    assert facts() == before
    m.logout()
    assert {f: k["messages"] for f, k in keys(i, olga).items()} == {one: 0, two: 3}
    assert (
        lines(i, "key", "messages", olga, one) == []
        and "No stored message" in i.run("key", "retire", olga, one).stdout.decode()
    )
    ring.gpg("--yes", "--delete-secret-and-public-keys", one)
    for message, rendered in zip(sent, i.fetch_all(olga).values()):
        assert i.run("unseal", data=ring.decrypt(harness.armor_of(rendered))).stdout == message
    i.run("account", "remove", olga)


def test_more_messages_than_one_look(ring, tmp_path):
    """A reader's turn of 50 ms: the counts come in slices all the same."""
    one = ring.make(f"many@{DOMAIN}")
    with harness.Instance() as i:
        i.init(reader_turn_ms=50, smtp_sessions_peer=100)
        many = account(i, ring, tmp_path, "many", one)
        i.serve()
        with i.smtp() as s:
            for n in range(1100):
                s.sendmail("a@example.org", [many], harness.mail(subject=str(n)))
        assert keys(i, many)[one]["messages"] == 1100
        assert [int(r.split("\t")[2]) for r in lines(i, "key", "messages", many, one)] == list(range(1, 1101))
        assert len(json.loads(i.run("key", "messages", many, one, "--json").stdout)) == 1100


def test_expired(any_instance, ring, tmp_path):
    i, gone = any_instance, ring.make(f"ed@{DOMAIN}", "10d", at="20240101T000000!")
    ed = account(i, ring, tmp_path, "ed", gone)
    k = keys(i, ed)[gone]
    assert k["expired"] and k["state"] == "current" and "expired since 2024-01-11" in lines(i, "key", "list", ed)[0]
    listed = [k for k in i.status()["keys"] if k["account"] == ed]
    assert listed == [{"account": ed, "state": "expired", "fingerprint": gone, "expires": k["expires"]}]
    assert f"{ed}  {gone}  expired since 2024-01-11" in i.run("status").stdout.decode()
    i.run("account", "remove", ed)


def test_version_6(any_instance, tmp_path):
    i, vera, js = any_instance, f"vera@{DOMAIN}", OpenPGPjs()
    made = js.ask(op="generate", options={"userIDs": [{"name": "V", "email": vera}]}, v6=True)
    js.close()
    fpr = made["certificate"].upper()
    i.run("account", "add", vera, "--key", write(tmp_path / "v6", base64.b64decode(made["public"])))
    k = keys(i, vera)[fpr]
    assert len(fpr) == 64 and k["seipd"] == 2 and k["encryption"]["algorithm"] == "X25519"
    p = i.run("key", "revoke", vera, write(tmp_path / "v6.rev", made["revocation"].encode()))
    assert b"the last key" in p.stderr and states(i, vera) == {fpr: "revoked"}
    i.run("account", "remove", vera)
