"""Content-Types that break the grammar, and headers with lines that are no field: what is sealed is read alike by
GMime, Python's email package and postal-mime, as the best of them reads the mail as it was sent (docs/openpgp.md)."""
import os
import pathlib
import subprocess
import sys

import pytest

import readers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import corpus  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LETTERLOCK_BINARY", ROOT / "build-check" / "letterlock")).parent
TOOL = pathlib.Path(os.environ.get("LETTERLOCK_PROTECT_TOOL", BUILD / "tests" / "unit" / "protect_tool"))
CASES = ROOT / "tests" / "cases"
POLICIES = ["shy", "baseline", "hidden"]

HTML = b"<p>shown</p>\r\n"
PARTS = (b"--b1\r\nContent-Type: text/plain\r\n\r\nplain part\r\n--b1\r\n"
         b"Content-Type: text/html; name=\"x.html\"\r\n\r\n<p>html part</p>\r\n--b1--\r\n")

# Fields whose type can be made out; their mail is HTML.
TYPES = [
    b"Content-Type: text/html; charset", b"Content-Type: text/html; charset=", b"Content-Type: text/html; charset=;",
    b"Content-Type: text/html; charset=utf-8 utf-8", b"Content-Type: text/html; charset=utf-8,iso-8859-1",
    b"Content-Type: text/html;iso-8859-1", b"Content-Type: text/html; charset=\"utf-8",
    b"Content-Type: text/html; charset=utf-8\"", b"Content-Type: text/html; charset=utf-8 (unclosed",
    b"Content-Type: text/html; =utf-8", b"Content-Type: text/html; charset==utf-8",
    b"Content-Type: text/html; charset=\xfcber", b"Content-Type: text/html; name=a b c.html",
    b"Content-Type: text/html charset=utf-8", b"Content-Type: text/html, charset=utf-8",
    b"Content-Type: text/html; charset=utf-8; charset=us-ascii", b"Content-Type : text/html",
    b"Content-Type\t: text/html; charset=utf-8", b"Content-Type:text/html", b"Content-Type: text /html",
    b"Content-Type: text/ html", b"Content-Type: (c) text/html", b"Content-Type: text/html (c",
    b"Content-Type: text/html; charset=(c)utf-8", b"Content-Type: TEXT/HTML; CHARSET=UTF-8;",
    b"Content-Type: text/html;;charset=utf-8", b"Content-Type: text/html; charset : utf-8",
    b"Content-Type: text/html; charset='utf-8'", b"Content-Type: text/html; format=flowed delsp=yes",
    b"Content-Type: text/html;\r\n\tcharset=utf-8;\r\n\t", b"Content-Type: text/html; \"charset\"=utf-8",
    b"Content-Type: text/html; charset=\"utf-8\"; x@y", b"Content-Type: text/html; [x]=1",
    b"Content-Type: text/html; x=<y>", b"Content-Type: text/html/x", b"Content-Type: text/html\x01",
    b"Content-Type: text/html; a=\x01b",
]
# RFC 2045 section 5.2: plain text, where GMime says application/octet-stream and others show an empty mail.
NO_TYPES = [b"Content-Type: text", b"Content-Type: ", b"Content-Type: html", b"Content-Type: text/",
            b"Content-Type: /html", b"Content-Type: ;;;"]
BOUNDARIES = [
    b"multipart/mixed; boundary=b1", b"multipart/mixed; boundary=\"b1", b"multipart/mixed; boundary=b1\"",
    b"multipart/mixed; boundary=b1; x", b"multipart/mixed; x; boundary=b1",
    b"multipart/mixed; charset=; boundary=\"b1\"", b"multipart/mixed; charset=\"a; boundary=b1",
    b"multipart/mixed boundary=b1", b"multipart/mixed; type=\"a\" boundary=\"b1\"",
    b"multipart/mixed; name=\xe4\xf6; boundary=b1", b"multipart/mixed; boundary = b1",
    b"multipart/mixed; boundary=\"b1\"; boundary=\"zz\"", b"multipart/mixed; boundary=b1 (c",
    b"multipart/mixed; boundary=b1, x", b"multipart/mixed; BOUNDARY=b1;x=",
    b"multipart/mixed;\r\n\tboundary=\"b1\"\r\n\tcharset=utf-8", b"multipart/mixed; a b; boundary=b1",
    b"multipart/mixed; report-type=x y z; boundary=b1", b"multipart/alternative; boundary=\"b1\";;",
    b"multipart/mixed; boundary*=us-ascii''b1", b"multipart/mixed; boundary*0=b; boundary*1=1",
]

FIRST = b"From: a@b.example\r\n"
REST = b"Subject: told\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + HTML
# Lines that are no field, and fields with a blank before the colon.
STRAYS = [
    b"From a@b Fri Nov 27 10:00:00 2026\r\n" + FIRST + REST, b">From a@b Fri Nov 27 10:00:00 2026\r\n" + FIRST + REST,
    b"\xef\xbb\xbf" + FIRST + REST, b"\xef\xbb\xbfFrom a@b Fri Nov 27 10:00:00 2026\r\n" + FIRST + REST,
    FIRST + b">From a@b Fri Nov 27\r\n" + REST, FIRST + b"From a@b Fri Nov 27 10:00:00 2026\r\n" + REST,
    FIRST + b"junk without colon\r\n" + REST, FIRST + b"junk\r\n folded\r\n\tmore\r\n" + REST,
    FIRST + b"N\xc3\xa4me: x\r\n" + REST, FIRST + b"=?utf-8?q?x?= y: z\r\n" + REST, FIRST + b"a b: c\r\n" + REST,
    FIRST + b": empty name\r\n" + REST, FIRST + REST.replace(b"Subject:", b"Subject :"),
    FIRST + REST.replace(b"Content-Type:", b"Content-Type :"),
    FIRST + REST.replace(b"MIME-Version:", b"MIME-Version\t:"),
    FIRST + b"Content-Transfer-Encoding : base64\r\n" + REST.replace(b"<p>shown</p>", b"PHA+c2hvd248L3A+"),
    FIRST + b"junk1\r\nX-A: b\r\njunk2\r\n" + REST, FIRST + b"junk\r\n" * 60 + REST,
]


def tool(data, *args):
    return subprocess.run([TOOL, *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def mail(field, body):
    return FIRST + b"Subject: told\r\nMIME-Version: 1.0\r\n" + field + b"\r\n\r\n" + body


def shown(sent, policy):
    """What GMime and Python see of the sealed mail, without the part that display puts in front."""
    payload = tool(sent, policy)
    assert tool(payload, "unseal") == sent
    seen = readers.gmime(payload)
    assert readers.python(payload) == seen
    parts = [p for p in seen[1] if p[0] != "text/rfc822-headers"]
    return seen[0], parts


@pytest.mark.parametrize("policy", POLICIES)
def test_types_are_kept(policy):
    for field in TYPES:
        subject, parts = shown(mail(field, HTML), policy)
        assert (subject, [(t, text) for t, _, text in parts]) == ("told", [("text/html", "<p>shown</p>")]), field


@pytest.mark.parametrize("policy", POLICIES)
def test_without_a_type_it_is_plain_text(policy):
    for field in NO_TYPES:
        assert shown(mail(field, HTML), policy) == ("told", [("text/plain", "", "<p>shown</p>")]), field


@pytest.mark.parametrize("policy", POLICIES)
def test_every_boundary_is_found(policy):
    wanted = [("text/plain", "", "plain part"), ("text/html", "x.html", "<p>html part</p>")]
    for value in BOUNDARIES:
        assert shown(mail(b"Content-Type: " + value, PARTS), policy) == ("told", wanted), value


@pytest.mark.parametrize("policy", POLICIES)
def test_stray_lines_are_stepped_over(policy):
    for sent in STRAYS:
        assert shown(sent, policy) == ("told", [("text/html", "", "<p>shown</p>")]), sent
        outer = tool(sent, "outer", "baseline")
        assert outer.count(b"\r\nFrom: ") + outer.startswith(b"From: ") == 1 and b"From: a@b.example\r\n" in outer, sent


def test_text_without_a_header_stays_text():
    for sent in (b"Hello Bob,\r\nthe meeting: at noon\r\n\r\nAnn\r\n", b"\xef\xbb\xbfHello\r\n\r\nx\r\n",
                 FIRST + b"Subject: told\r\nno empty line before this text\r\n\r\nmore\r\n"):
        _, parts = shown(sent, "shy")
        assert parts[0][0] == "text/plain" and "more" in parts[0][2] or "Hello" in parts[0][2], sent


def test_more_stray_lines_than_one_steps_over():
    _, parts = shown(FIRST + b"junk\r\n" * 65 + REST, "shy")
    assert parts[0][0] == "text/plain" and parts[0][2].startswith("junk")  # the body begins at one of them


def test_postal_mime_reads_it_alike():
    folder = readers.fetch_postal_mime()
    if not folder:
        pytest.skip("npm does not bring postal-mime")
    html = [mail(field, HTML) for field in TYPES] + STRAYS
    for sent, got in zip(html, readers.postal_mime(folder, [tool(m, "shy") for m in html])):
        assert (got[0], got[2]) == ("told", "<p>shown</p>"), sent
    multi = [mail(b"Content-Type: " + value, PARTS) for value in BOUNDARIES if b"boundary*" not in value]
    for sent, got in zip(multi, readers.postal_mime(folder, [tool(m, "shy") for m in multi])):
        assert got[0] == "told" and "plain part" in got[1] and "<p>html part</p>" in got[2], sent


PDF = [("text/plain", ""), ("application/pdf", "a.pdf")]
ONE = [("text/html", "")]
# The cases: Subject, and the types and names that are to be seen.
WANTED = {
    "mbox-from": ("mbox", ONE), "gtmbox-from": ("gtfrom", ONE), "junk-first": ("after junk", ONE),
    "name8bit": ("n8", ONE), "subj-space-colon": ("spaced colon", ONE),
    **{f"ctb-{n}": (f"ctb-{n}", PDF) for n in ("8bit-mp", "emptyparam2", "missemi-mp", "noeq-mp")},
    **{n: (n, ONE) for n in ("ctb-comma-param", "ctb-comment-open", "ctb-emptyparam", "ctb-noeq", "ctb-strayq",
                             "ctc-enmime91")},
    "ctb-spacename": ("ctb-spacename", [("application/pdf", "My Report.pdf")]),
}


def test_every_case_is_asserted():
    assert {p.stem for p in CASES.glob("ct[bc]-*.eml")} <= set(WANTED)


@pytest.mark.parametrize("case", sorted(WANTED))
def test_cases(case):
    sent = (CASES / f"{case}.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    subject, parts = shown(sent, "shy")
    assert (subject, [(kind, name) for kind, name, _ in parts]) == WANTED[case]


@pytest.mark.needs("the corpus of real mail (npm)")
@pytest.mark.parametrize("policy", POLICIES)
def test_real_mail_keeps_its_types(policy):
    """What GMime reads as the type of a mail it reads as the type of what is sealed. Of every thirty mails another one
    for each policy, or all of them in the long run."""
    mails = [data for _, data in corpus.messages()]
    mails = mails if os.environ.get("LETTERLOCK_FULL") else mails[10 * POLICIES.index(policy)::30]
    mails = [corpus.wire(data) for data in mails]
    lost = []
    for sent in mails:
        before, after = (readers.gmime_type(m) for m in (sent, tool(sent, policy)))
        if before != after and before not in (None, "application/octet-stream"):
            lost.append((before, after, sent[:60]))
    assert len(mails) > 200 and lost == []
