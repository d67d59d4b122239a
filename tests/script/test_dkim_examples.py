"""Mail that others signed, as published: RFC 6376 appendix A.2 with the key of appendix C, and the messages in the
tests of dkimpy (Debian's python3-dkim; zlib licence, William Grant, Scott Kitterman and others), which come with it.
RFC 8463 appendix A stands in tests/unit/mailauth/test_dkim_verify.c."""
import os
import pathlib
import subprocess

import dkim
import pytest

TOOL = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop/verify_tool"
DATA = pathlib.Path(dkim.__file__).parent / "tests/data"

RFC = """\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
        4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
""".encode()
KEYS = {
    "brisbane._domainkey.example.com":
        "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCj"
        "xOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcW"
        "ToIMmPSPDdQPNUYckcQ2QIDAQAB",
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
}
FILES = {"test._domainkey.football.example.com": "test.txt", "sed._domainkey.test.ex": "eximtest.dns"}
NAMES = ["rfc6376.signed.msg", "rfc6376.signed.rsa.msg", "ed25519test2.msg", "test.message.baddomain", "message.mbox"]


def wire(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """{name: [RESULT/.../DOMAIN/SELECTOR of each signature]}"""
    folder = tmp_path_factory.mktemp("examples")
    keys = {**KEYS, **{name: (DATA / file).read_text().strip() for name, file in FILES.items()}}
    (folder / "keys").write_text("".join(f"{name}\t{txt}\n" for name, txt in keys.items()))
    mails = {"RFC 6376": RFC, "RFC 6376, another": RFC.replace(b"hungry", b"angry"),
             **{name: (DATA / name).read_bytes() for name in NAMES}}
    for n, data in enumerate(mails.values()):
        (folder / str(n)).write_bytes(wire(data))
    out = subprocess.run([TOOL, folder / "keys"], input="".join(f"{folder / str(n)}\n" for n in range(len(mails))),
                         capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    return {name: [[v.split("/")[k] for k in (0, 2, 3)] for v in line.split("\t")[0].split("; ")]
            for name, line in zip(mails, out, strict=True)}


def test_as_published(verdicts):
    assert verdicts == {
        "RFC 6376": [["pass", "example.com", "brisbane"]],
        "RFC 6376, another": [["fail", "example.com", "brisbane"]],
        "rfc6376.signed.msg": [["pass", "football.example.com", "brisbane"], ["pass", "football.example.com", "test"]],
        "rfc6376.signed.rsa.msg": [["pass", "football.example.com", "test"]],
        "ed25519test2.msg": [["pass", "test.ex", "sed"]],
        "test.message.baddomain": [["neutral", "", "test"]],  # d=legitimate.com(.attacker.com
        "message.mbox": [["permerror", "kitterman.com", "2007-00"]],  # no key is published any more
    }
