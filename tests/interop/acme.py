"""What tests of `letterlock acme` share: an ACME server (pebble, Let's Encrypt's for tests), names of NSD's, and a
server that asks them; what it then shows."""
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import time
import urllib.request

import harness
import names
import web

HOST = harness.DOMAIN
SERVED = [HOST, *(f"{n}.{HOST}" for n in ("mta-sts", "openpgpkey")), "second.test"]

NEEDS = ("root", "uacme", "pebble", "unshare", "openssl", *names.NEEDS)

ZONE = f"""
letterlock A 127.0.0.1
mta-sts.letterlock CNAME letterlock.test.
openpgpkey.letterlock A 127.0.0.1
autoconfig.letterlock A 127.9.9.9
second A 127.0.0.1
"""


class Pebble:
    """Asks n for names, and the web server at port http whether they are somebody's."""

    def __init__(self, place, n, http):
        self.ca = web.Certificates(place, ["localhost"]).ca
        self.url = f"https://localhost:{n.base + 100}/dir"
        config = place / "pebble.json"
        config.write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{n.base + 100}", "managementListenAddress": f"127.0.0.1:{n.base + 101}",
            "certificate": str(place / "good.pem"), "privateKey": str(place / "good.key"), "httpPort": http,
            "tlsPort": n.base + 102, "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.log = place / "pebble.log"
        self.process = subprocess.Popen(
            ["pebble", "-config", config, "-dnsserver", f"127.0.0.1:{n.port}"], stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT, env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"})
        end = time.monotonic() + 60
        self.root = None
        while not self.root:
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            with contextlib.suppress(OSError):
                at = f"https://localhost:{n.base + 101}/roots/0"
                self.root = urllib.request.urlopen(at, context=ssl._create_unverified_context(), timeout=30).read()

    def close(self):
        self.process.terminate()
        self.process.wait(30)


@contextlib.contextmanager
def serving(place):
    with names.start({"test": ZONE}, signed=["test"], ttl=1) as n, harness.Instance(web=True) as i:
        i.init(**n.settings())
        i.serve()
        i.run("domain", "add", "second.test")
        i.names, i.pebble = n, Pebble(place, n, i.port("http"))
        try:
            yield i
        finally:
            i.pebble.close()


def acme(i, *args, check=True, wrapper=()):
    """With pebble's own authority among those that the machine trusts."""
    script = 'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && shift && exec "$@"'
    p = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", i.pebble.ca, *wrapper, i.binary, "acme",
                        "run", "--server", i.pebble.url, *args],
                       env=dict(i.env, ASAN_OPTIONS="detect_leaks=0") if wrapper else i.env,
                       capture_output=True, text=True, timeout=300)
    assert not check or p.returncode == 0, p.stdout + p.stderr + i.pebble.log.read_text()[-3000:]
    return p


def shown(i, name, service="imaps"):
    """As one who trusts pebble's authority and looks for the name. Its certificate."""
    c = ssl.create_default_context(cadata=i.pebble.root.decode())
    with socket.create_connection(("127.0.0.1", i.port(service)), timeout=60) as plain, \
            c.wrap_socket(plain, server_hostname=name) as s:
        return s.getpeercert(True)


def key_of(certificate):
    out = subprocess.run(["openssl", "x509", "-inform", "DER", "-pubkey", "-noout"], input=certificate, check=True,
                         capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=out.stdout, check=True,
                         capture_output=True).stdout
    return subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der, check=True,
                          capture_output=True).stdout.split()[0].decode()


def own_key(i):
    text = (i.dir / "tls/chain.pem").read_text()
    first = re.search(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", text, re.S)[0]
    return key_of(ssl.PEM_cert_to_DER_cert(first))
