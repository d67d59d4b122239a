"""The examples of docs/api.md, as they stand there; and what of the secrets is in what is sent and stored: nothing."""
import base64
import contextlib
import os
import pathlib
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading

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


class Between(socketserver.ThreadingTCPServer):
    """TLS on both sides: what clients and the server say, as it stands inside."""
    daemon_threads, allow_reuse_address = True, True

    def __init__(self, i):
        super().__init__(("127.0.0.1", 0), None)
        self.port, self.heard, self.lock = i.port("https"), {"client": b"", "server": b""}, threading.Lock()
        self.shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.shown.load_cert_chain(i.dir / "tls/chain.pem", i.dir / "tls/key.pem")
        self.asked = ssl._create_unverified_context()

    def pass_on(self, who, source, to):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                with self.lock:
                    self.heard[who] += octets
                to.sendall(octets)
        with contextlib.suppress(OSError):
            to.shutdown(2)

    def finish_request(self, request, client_address):
        with contextlib.suppress(OSError), self.shown.wrap_socket(request, server_side=True) as client, \
                self.asked.wrap_socket(socket.create_connection(("127.0.0.1", self.port))) as server:
            back = threading.Thread(target=self.pass_on, args=("server", server, client))
            back.start()
            self.pass_on("client", client, server)
            back.join()


@pytest.fixture(scope="module")
def between(i):
    with Between(i) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def run(i, between, tmp_path_factory):
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
        command = command.replace("https://mail.example", f"https://127.0.0.1:{between.server_address[1]}")
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


def forms(secret):
    """As it is, in hexadecimal, and in base64 of both alphabets wherever it begins."""
    yield secret
    yield secret.hex().encode()
    for skip in range(3):
        coded = base64.b64encode(bytes(skip) + secret)[4:-4]
        yield coded
        yield coded.replace(b"+", b"-").replace(b"/", b"_")


@pytest.fixture(scope="module")
def secrets(run, ran):
    words = (run.place / "phrase").read_bytes().split()
    assert len(words) == 12
    return [form for s in (b"correct horse", b"battery staple", b" ".join(words), SECRET[100:140]) for form in forms(s)]


def test_the_search_finds_what_is_there(secrets):
    for said in (b'{"password":"correct horse"}', base64.urlsafe_b64encode(b"xy" + SECRET), SECRET.hex().encode()):
        assert [s for s in secrets if s in said]


def test_nothing_sent_opens_anything(between, secrets):
    """Inside TLS, in both directions."""
    asked, told = between.heard["client"], between.heard["server"]
    for path in (b"register/finish", b"login/finish", b"phrase/finish", b"password", b"wrapped"):
        assert b"/api/v1/" + path in asked.replace(b"/opaque/", b"/")
    assert b'"token":"' in told and b'"envelope":"' in told  # it is what they said
    for said in asked, told:
        assert not [s for s in secrets if s in said]


def test_nothing_stored_opens_anything(i, secrets):
    """The store's files, and what lies beside: no password, no phrase, no private key."""
    stored = [p for p in i.dir.rglob("*") if p.is_file()]
    assert any(p.name == "data.mdb" for p in stored)
    for p in stored:
        octets = p.read_bytes()
        assert not [s for s in secrets if s in octets], p
