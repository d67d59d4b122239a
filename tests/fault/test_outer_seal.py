"""The outer seal, from outside: what strangers make readable is nowhere in the store or a backup, nor is who can read
what; and what a thief who can write has changed on the disk is not served, and audit says so."""
import os
import pathlib
import struct
import sys

import harness
import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "interop")]
from encrypted_forms import SEIPD, armor, packet, split  # noqa: E402

PLANTED = f"Planted{os.urandom(6).hex()}"
PAGE = 4096


def pgp_mime(packets):
    block = armor(packets).decode().replace("\r\n", "\n")
    return harness.mail(
        "planted", "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n"
        f"--b\nContent-Type: application/octet-stream\n\n{block}\n--b--\n",
        extra='MIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted";'
              " boundary=b\n")


@pytest.fixture
def planted(instance):
    """Mail whose containers hold readable text, for alice and a stranger: as large as one small chunk, as some pages,
    and as several chunks; by SMTP, and appended."""
    i = instance.init()
    i.alice = i.add_account("alice")
    i.keyring.generate("stranger@example.org")
    i.serve()
    encrypted = i.keyring.gpg("--encrypt", "--trust-model", "always", "-r", i.alice, "-r", "stranger@example.org",
                              data=b"text").stdout
    i.sessions = [p.whole for p in split(encrypted)[:-1]]
    i.ids = [p.body[1:9] for p in split(encrypted)[:-1]]
    assert len(set(i.ids)) == 2
    m = i.imap(i.alice)
    i.sent = []
    for size in (600, 9000, 70000):
        text = (f"{PLANTED} " * (size // len(PLANTED))).encode()
        i.sent.append(b"".join(i.sessions) + packet(SEIPD, b"\1" + text))
        i.send(i.alice, pgp_mime(i.sent[-1]))
        assert m.append("Sent", None, None, pgp_mime(i.sent[-1]))[0] == "OK"
    i.send(i.alice, harness.mail("sealed by the server", "A line of text.\n" * 1000))
    m.logout()
    return i


def data_of(i):
    return (i.dir / "store" / "data.mdb").read_bytes()


def packets_of(rendered):
    from encrypted_forms import dearmor
    return dearmor(harness.armor_of(rendered))


def test_false_containers(planted, tmp_path):
    i = planted
    for mailbox in ("INBOX", "Sent"):
        served = [packets_of(x) for _, x in sorted(i.fetch_all(i.alice, mailbox).items())]
        assert served[:3] == i.sent, "what came is served as it came"
    i.run("backup", tmp_path / "backup")
    i.stop()
    for file in (data_of(i), (tmp_path / "backup" / "data.mdb").read_bytes()):
        assert PLANTED.encode() not in file
        for key in i.ids:
            assert key not in file, "a key's id stands clear"
        for whole in i.sessions:
            assert whole[-40:] not in file, "a session-key packet stands clear"
    assert i.run("audit").returncode == 0


def runs(data):
    """Where values of several pages begin, and how long they may be."""
    for at in range(2 * PAGE, len(data), PAGE):
        page, _, flags = struct.unpack_from("=QHH", data, at)
        if page == at // PAGE and flags == 4:  # P_OVERFLOW
            yield at + 16, struct.unpack_from("=I", data, at + 12)[0] * PAGE - 16


def whole(i, mailbox):
    """The messages as served, or None where the server will not."""
    m, out = i.imap(i.alice), []
    m.select(mailbox, readonly=True)
    for n in range(1, 4):
        try:
            ok, got = m.fetch(str(n), "(BODY.PEEK[])")
            out.append(got[0][1] if ok == "OK" else None)
        except (m.abort, m.error, OSError):
            out.append(None)
            m = i.imap(i.alice)
            m.select(mailbox, readonly=True)
    return out


def test_changed_on_the_disk(planted):
    """An octet of each page run in turn: no message is ever served otherwise than it came, and audit finds each."""
    i = planted
    before = whole(i, "INBOX")
    assert None not in before
    i.stop()
    good, refused, found = data_of(i), 0, 0
    compact = list(runs(good))
    assert len(compact) >= 8
    path = i.dir / "store" / "data.mdb"
    for at, size in compact:
        bad = bytearray(good)
        bad[at + size // 2] ^= 4
        path.write_bytes(bad)
        p = i.run("audit", check=False)
        found += p.returncode == 1
        i.serve()
        after = whole(i, "INBOX")
        assert all(a in (None, b) for a, b in zip(after, before)), "changed text is served"
        refused += None in after
        i.stop()
    path.write_bytes(good)
    # some runs are of the other mailbox, and some are free pages
    print(f"{len(compact)} runs: audit found {found}, FETCH refused {refused}")
    assert found >= 8 and 4 <= refused < found
    assert i.run("audit").returncode == 0


def test_what_this_server_sealed(planted):
    """It stands as it is, and is served as it stands: its reader's OpenPGP finds the change, and audit does."""
    i = planted
    own = list(i.fetch_all(i.alice).values())[3]
    packets = packets_of(own)
    assert i.keyring.gpg("--decrypt", data=packets).returncode == 0
    i.stop()
    data, path = bytearray(data_of(i)), i.dir / "store" / "data.mdb"
    at = data.find(packets[5000:5100])
    assert at > 0, "its octets are hidden, too"
    data[at + 50] ^= 1
    path.write_bytes(data)
    p = i.run("audit", check=False)
    assert p.returncode == 1 and b"outer seal" in p.stdout
    i.serve()
    changed = packets_of(list(i.fetch_all(i.alice).values())[3])
    assert changed != packets and i.keyring.gpg("--decrypt", data=changed, check=False).returncode != 0
