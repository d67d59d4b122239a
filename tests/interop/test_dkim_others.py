"""Our signatures as others read them: real mail signed with both kinds of keys and verified by dkimpy, Mail::DKIM
(which knows RSA alone) and OpenDKIM. A sample by default; all 6,046 messages with LETTERLOCK_FULL=1."""
import os
import pathlib
import re
import subprocess
import textwrap

import corpus
import dkim
import dkim_peers
import pytest

TOOL = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop/dkim_tool"
EVERY = 1 if os.environ.get("LETTERLOCK_FULL") else 60
# Mail whose From has no address is no mail to OpenDKIM, signed or not.
NO_AUTHOR = re.compile(rb"^From:[^\n@]*\r\n(?![ \t])", re.M | re.I)

OURS = '''(map { $_->result_detail } grep { $_->domain eq "sender.test" && $_->algorithm eq "rsa-sha256" } @s)[0]
    // "none"'''


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """(the files, the keys' records)."""
    folder = tmp_path_factory.mktemp("dkim")
    listed = []
    for n, (_, data) in enumerate(list(corpus.messages())[::EVERY]):
        path = folder / f"{n}.in"
        path.write_bytes(corpus.wire(data.replace(b"\r", b"")))
        listed.append(path)
    out = subprocess.run([TOOL, folder], input="".join(f"{p}\n" for p in listed), capture_output=True, text=True,
                         check=True, timeout=300).stdout.splitlines()
    assert out == [f"{n} ok" for n in range(len(listed))]
    return [folder / f"{n}.eml" for n in range(len(listed))], {s: (folder / f"{s}.txt").read_text()
                                                              for s in ("rsa", "ed")}


def published(keys):
    return lambda name, timeout=5: keys[name.decode().split(".")[0]].encode()


def test_dkimpy_verifies_both(signed):
    files, keys = signed

    txt = published(keys)
    assert [(f.name, i) for f in files for i in (0, 1)
            if dkim.DKIM(f.read_bytes()).verify(idx=i, dnsfunc=txt) is not True] == []


def test_dkimpy_finds_what_was_changed(signed):
    files, keys = signed
    mail = files[0].read_bytes()
    for changed in (mail[:-3] + b"x\r\n", mail.replace(b"\r\nSubject:", b"\r\nSubject: x", 1),
                    mail.replace(b"\r\nFrom:", b"\r\nSubject: another\r\nFrom:", 1)):
        assert changed != mail
        for i in (0, 1):
            with pytest.raises(dkim.ValidationError):
                if not dkim.DKIM(changed).verify(idx=i, dnsfunc=published(keys)):
                    raise dkim.ValidationError("signature")


@pytest.mark.needs("/usr/share/perl5/Mail/DKIM/Verifier.pm")
def test_mail_dkim_verifies_rsa(signed, tmp_path):
    files, keys = signed
    (tmp_path / "keys").write_text("".join(f"{s}._domainkey.sender.test\t{keys[s]}\n" for s in keys))
    out = dkim_peers.run("perl", "-e", dkim_peers.PERL_VERIFY.replace("%s", OURS), tmp_path / "keys", lines=files)
    assert [(f.name, r) for f, r in zip(files, out, strict=True) if r != "pass"] == []


@pytest.mark.needs("opendkim")
def test_opendkim_verifies_both(signed, tmp_path):
    files, keys = signed
    (tmp_path / "keys").write_text("".join(f"{s}._domainkey.sender.test {keys[s]}\n" for s in keys))
    (tmp_path / "conf").write_text(textwrap.dedent(f"""\
        Mode v
        TestPublicKeys {tmp_path / "keys"}
        """))
    bad = []
    for at in range(0, len(files), 200):
        some = files[at:at + 200]
        out = subprocess.run(["opendkim", "-x", tmp_path / "conf", "-t", ",".join(map(str, some)), "-vvv"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300).stdout
        found = out.split(b"hname='Authentication-Results'")[1:]
        assert len(found) == len(some)
        bad += [f for f, text in zip(some, found)
                if len(re.findall(rb"dkim=pass[^;]*header\.d=sender\.test", text[:4000])) != 2]
    assert [f.name for f in bad if not NO_AUTHOR.search(f.read_bytes().split(b"\r\n\r\n")[0] + b"\r\n")] == []
    assert len(bad) <= 3
