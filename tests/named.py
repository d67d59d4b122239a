"""A server that is found by its names, over HTTPS with an authority that is trusted, in a network namespace where those
names lead to it: for clients of others, which take nothing else."""
import subprocess

import harness
import peers

# The server runs until the test's words end; GnuPG's daemons of any home in the place end with it.
SCRIPT = """
set -eu
ip link set lo up
mount --bind hosts /etc/hosts
mount --bind ca.pem /etc/ssl/certs/ca-certificates.crt
{binary} serve >serve.log 2>&1 & server=$!
trap 'for h in home others; do GNUPGHOME=$PWD/$h gpgconf --kill all; done; kill $server; wait $server || true' EXIT
n=0; until grep -q '^ready' serve.log; do n=$((n + 1)); [ $n -lt 1200 ]; sleep 0.1; done
export GNUPGHOME=$PWD/home
{words}
"""


def prepare(i, *names):
    """The instance's certificate is for these names beside its own; place has ca.pem, which signed it, and two homes
    for GnuPG, whose dirmngr trusts it."""
    place, names = i.place, [harness.DOMAIN, f"openpgpkey.{harness.DOMAIN}", *names]
    by = peers.authority(place, "ca")
    peers.issued(place, by, names)
    for made, used in (("pem", "chain.pem"), ("key", "key.pem")):
        (i.dir / "tls" / used).write_bytes((place / f"issued-{names[0]}.{made}").read_bytes())
    (place / "hosts").write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
    for home in place / "home", place / "others":
        home.mkdir(mode=0o700)
        (home / "dirmngr.conf").write_text(f"hkp-cacert {place}/ca.pem\nstandard-resolver\ndisable-ipv6\n")


def run(i, words):
    """Words of a shell, in the instance's place, while it serves. What they print."""
    p = subprocess.run(["unshare", "-n", "-m", "sh", "-c", SCRIPT.format(binary=i.binary, words=words)], cwd=i.place,
                       env=i.env, capture_output=True, timeout=600)
    assert p.returncode == 0, p.stderr.decode() + (i.place / "serve.log").read_text()
    return p.stdout
