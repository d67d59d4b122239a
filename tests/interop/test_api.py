"""The examples of docs/api.md, as they stand there; and what of the secrets is in what is sent and stored: nothing."""
import os
import pathlib
import re
import shutil
import subprocess

import harness
import pytest

pytestmark = pytest.mark.needs("node", "curl", "the packages of webmail-api/web (npm)")
HERE = pathlib.Path(__file__).resolve().parent
PAGE = (harness.ROOT / "docs/api.md").read_text()
SECRET = b"\xc5" + os.urandom(900)  # as a private key's packets begin


def examples():
    """(command, what it prints) of each, in order."""
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.M | re.S):
        for one in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, printed = re.fullmatch(r"((?:[^\n]*[\\|]\n)*[^\n]*\n)(.*)", one, re.S).groups()
            yield command.strip(), printed


@pytest.fixture(scope="module")
def i():
    with harness.Instance(web=True) as instance:
        instance.init(web_instances=2)
        instance.add_account("ann")
        yield instance.serve()


@pytest.fixture(scope="module")
def run(i, tmp_path_factory):
    """Runs a line as the page has it, where `mail.example` is this instance."""
    place = tmp_path_factory.mktemp("api")
    shutil.copytree(harness.ROOT / "webmail-api/web/session", place / "web/session")
    shutil.copytree(harness.ROOT / "webmail-api/tools", place / "tools")
    web = subprocess.run([HERE / "fetch_web"], check=True, capture_output=True, text=True).stdout.strip()
    (place / "node_modules").symlink_to(pathlib.Path(web) / "node_modules")
    (place / "secret.pgp").write_bytes(SECRET)
    (place / "tools/letterlock").symlink_to(harness.BINARY)
    (place / ".curlrc").write_text("insecure\n")
    env = {**os.environ, "PATH": f"{place}/tools:{os.environ['PATH']}", "NODE_TLS_REJECT_UNAUTHORIZED": "0",
           "NODE_NO_WARNINGS": "1", "CURL_HOME": str(place), "INVITE": ""}

    def line(command):
        command = command.replace("https://mail.example", f"https://127.0.0.1:{i.port('https')}")
        command = command.replace("@mail.example", f"@{harness.DOMAIN}")
        if command.startswith("letterlock "):
            out = i.run(*command.split()[1:]).stdout.decode()
            env["INVITE"] = out.split()[-1]
            return out
        r = subprocess.run(["bash", "-c", command], cwd=place, env=env, capture_output=True, text=True, timeout=300)
        return r.stdout + r.stderr
    line.place = place
    return line


def pattern(printed):
    """Of a page's lines: "..." is anything within a line, and a line of it alone any lines."""
    lines = [".*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".+") for line in printed.splitlines()]
    return re.compile("\n".join(lines) + r"\n?", re.S if "\n...\n" in "\n" + printed else 0)


@pytest.fixture(scope="module")
def ran(run):
    return [(command, printed, run(command)) for command, printed in examples()]


def test_the_examples_of_the_page(ran):
    assert len(ran) > 8
    wrong = [(c, want, got) for c, want, got in ran if not pattern(want).fullmatch(got)]
    assert wrong == []


def test_nothing_stored_opens_anything(i, run, ran):
    """The store's files, and what lies beside: no password, no phrase, no private key."""
    words = (run.place / "phrase").read_bytes().split()
    secrets = [b"correct horse", b"battery staple", b" ".join(words), SECRET[100:140]]
    stored = [p for p in i.dir.rglob("*") if p.is_file()]
    assert any(p.name == "data.mdb" for p in stored)
    for p in stored:
        octets = p.read_bytes()
        assert not [s for s in secrets if s in octets], p
