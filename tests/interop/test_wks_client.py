"""gpg-wks-client, the Web Key Service's own client, publishes a key here by mail alone: it finds the submission address
and its key by WKD over HTTPS, and answers the request that came by IMAP, sealed like any mail."""
import json
import pathlib
import shlex
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
import named  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
pytestmark = pytest.mark.needs("root", "unshare", "openssl", "dirmngr", "/usr/lib/gnupg/gpg-wks-client")
DOMAIN = harness.DOMAIN
ANN = f"Ann.Lee@{DOMAIN}"


def test_gpg_wks_client_publishes_a_key():
    with harness.Instance() as i:
        i.init(port_base=0, https="yes", smtp="yes", submissions="yes", submission="no", imap="no", imaps="yes")
        cert = i.place / "cert"
        cert.write_bytes(i.keyring.generate(ANN))
        i.run("account", "add", ANN, "--key", cert)
        i.app_password(ANN)
        named.prepare(i)
        fpr = i.keyring.fingerprint(ANN)
        i.keyring.unasked("--quick-set-expire", fpr, "7y")
        home = i.place / "home"
        for data in i.keyring.export(ANN), i.keyring.secret(fpr):
            subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--import"], input=data, check=True,
                           capture_output=True)
        # What is the reader's own, as where it was made: the client asks for that.
        subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--import-ownertrust"],
                       input=f"{fpr}:6:\n".encode(), check=True, capture_output=True)
        words = "/usr/bin/python3", HERE / "wks_client.py", ANN, i.passwords[ANN], fpr
        told = json.loads(named.run(i, shlex.join(map(str, words))))
        assert told["supported"] == told["check"] == 0
        assert told["to"] == [f"key-submission@{DOMAIN}"] * 2
        assert told["after"] == told["own"] > told["before"]
