"""The other implementations of OpenPGP, each behind the same few calls: make keys, open a message, say why not."""
import base64
import collections
import hashlib
import json
import pathlib
import re
import subprocess
import threading

import harness

HERE = pathlib.Path(__file__).resolve().parent
SEAL_TOOL = pathlib.Path(harness.BINARY).parent / "tests/interop/seal_tool"

# Of one key: files with its binary secret and public form, the fingerprint of what encrypts.
Key = collections.namedtuple("Key", "secret public fingerprint")
# ok: opened and integrity proven. said: all that the program said, for when it did not.
Opened = collections.namedtuple("Opened", "ok sha256 length said")


def program(*args, data=None):
    p = subprocess.run([str(a) for a in args], input=data, capture_output=True, timeout=300, env=None)
    return p.returncode, p.stdout, p.stderr.decode(errors="replace")


def opened(status, out, said, ok=True):
    return Opened(status == 0 and ok, hashlib.sha256(out).hexdigest(), len(out), said)


def openpgpjs_module():
    return subprocess.run([HERE / "fetch_openpgpjs"], capture_output=True, check=True, text=True).stdout.strip()


class OpenPGPjs:
    """One Node.js for all calls."""
    name = "OpenPGP.js"

    def __init__(self):
        self.process = subprocess.Popen(["node", HERE / "openpgpjs.mjs", openpgpjs_module()], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.lock = threading.Lock()

    def ask(self, **request):
        with self.lock:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def describe(self, answer, place, name):
        assert "error" not in answer, answer
        key = Key(place / f"{name}.secret", place / f"{name}.public", answer["fingerprint"])
        key.secret.write_bytes(base64.b64decode(answer["secret"]))
        key.public.write_bytes(base64.b64decode(answer["public"]))
        return key

    def generate(self, place, name, options, v6=False):
        return self.describe(self.ask(op="generate", options=options, v6=v6), place, name)

    def adopt(self, place, name, secret):
        """A key that another program made."""
        made = place / f"{name}.made"
        made.write_bytes(secret)
        return self.describe(self.ask(op="read", path=str(made)), place, name)

    def hold(self, key):
        pass

    def open(self, path, key, out=None):
        """key: a Key, or the path of a secret key. out: where the text goes, if anywhere."""
        a = self.ask(op="decrypt", key=str(getattr(key, "secret", key)), path=str(path), out=out and str(out))
        return Opened("error" not in a, a.get("sha256"), a.get("length"), a.get("error", ""))

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


class Gpg:
    """One home with every key; beside it, as long as wanted, homes with one key alone."""
    name = "gpg"

    def __init__(self, place):
        self.place = place
        self.homes = {None: harness.Keyring(place / "gpg")}
        self.said = {}

    def generate(self, name, primary, subkey):
        """The secret key and the encryption subkey's fingerprint."""
        ring = self.homes[None]
        ring.unasked("--quick-gen-key", f"{name}@example.org", primary, "cert,sign", "0")
        ring.unasked("--quick-add-key", ring.fingerprint(f"{name}@example.org"), subkey, "encr", "0")
        return self.export(f"{name}@example.org")

    def adopt(self, name, secret):
        """A key that another program made, with this name as its user id."""
        made = self.place / f"{name}.made"
        made.write_bytes(secret)
        self.homes[None].import_file(made)
        return self.export(name)

    def export(self, who):
        ring = self.homes[None]
        listing = ring.gpg("--with-colons", "--list-keys", who).stdout.decode()
        fingerprint = re.findall(r"^fpr:+([0-9A-F]+):", listing, re.M)[-1]
        secret = ring.secret(who)
        return secret, ring.gpg("--export", who).stdout, fingerprint

    def hold(self, key, alone=False):
        home = key if alone else None
        if home not in self.homes:
            self.homes[home] = harness.Keyring(self.place / f"alone-{key.secret.stem}")
        self.said[key] = self.homes[home].gpg("--import", str(key.secret), check=False).stderr.decode(errors="replace")

    def open(self, path, key):
        ring = self.homes.get(key, self.homes[None])
        status, out, said = program("gpg", "--homedir", ring.path, "--batch", "--no-tty", "--status-fd", "2", "-d",
                                    path)
        integrity = "GOODMDC" in said and "manipulated" not in said
        return opened(status, out, self.said.get(key, "") + said, integrity)

    def let_go(self):
        """Of the homes with one key."""
        for key in [k for k in self.homes if k]:
            self.homes.pop(key).close()

    def close(self):
        for ring in self.homes.values():
            ring.close()


class Sq:
    name = "sq"

    def __init__(self, place):
        self.place = place

    def generate(self, suite):
        status, out, said = program("sq", "key", "generate", "--cipher-suite", suite, "--userid", "a@example.org",
                                    "--rev-cert", self.place / f"{suite}.rev", "--export", "-")
        assert status == 0, said
        return out

    def hold(self, key):
        pass

    def open(self, path, key):
        return opened(*program("sq", "decrypt", "--recipient-key", key.secret, path))

    def close(self):
        pass


class Rnp:
    name = "rnp"

    def __init__(self, place):
        self.place = place

    def generate(self, name, answers):
        home = self.place / f"rnp-{name}"
        home.mkdir(mode=0o700)
        status, _, said = program("rnpkeys", "--homedir", home, "--generate-key", "--expert", "--userid", name,
                                  "--password", "",
                                  "--notty", data=answers)
        assert status == 0, said
        status, out, said = program("rnpkeys", "--homedir", home, "--export-key", "--secret", name)
        assert status == 0, said
        return out

    def hold(self, key):
        pass

    def open(self, path, key):
        return opened(*program("rnp", "--keyfile", key.secret, "--password", "", "--notty", "--output", "-", "-d",
                               path))

    def close(self):
        pass


def seal(plain, path, keys, seipd, aes):
    """Our own seal of the octets in the file plain. seipd and aes 0: the native judge chooses key and format."""
    certificates = [f"{k.public}@{k.fingerprint}" if seipd else k.public for k in keys]
    with open(plain, "rb") as source, open(path, "wb") as out:
        p = subprocess.run([SEAL_TOOL, str(seipd), str(aes), *certificates], stdin=source, stdout=out,
                           stderr=subprocess.PIPE, check=False)
    assert p.returncode == 0, p.stderr.decode()
