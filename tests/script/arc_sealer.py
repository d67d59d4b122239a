"""Seals messages by ARC (RFC 8617), also as nobody should: a second implementation, for tests of ours."""
import base64
import hashlib
import re
import subprocess

from dkim.crypto import parse_pem_private_key, RSASSA_PKCS1_v1_5_sign

DOMAIN = "example.org"
MESSAGE = [("MIME-Version", "1.0"), ("Message-ID", "<1@d1.example.org>"), ("Date", "Thu, 14 Jan 2015 15:00:01 -0800"),
           ("From", "John Q Doe <jqd@d1.example.org>"), ("To", "arc@dmarc.org"), ("Subject", "Example 1")]
BODY = "Hey gang,\r\nThis is a test  message. \r\n--J.\r\n"
H = "from:to:date:subject:mime-version:arc-authentication-results"


class Key:
    """An RSA key of so many bits, with its record."""

    def __init__(self, selector, bits):
        pem = subprocess.run(["openssl", "genrsa", "-traditional", str(bits)], check=True, capture_output=True).stdout
        public = subprocess.run(["openssl", "rsa", "-pubout"], input=pem, check=True, capture_output=True).stdout
        self.selector, self.private = selector, parse_pem_private_key(pem)
        self.record = "v=DKIM1; k=rsa; p=" + "".join(public.decode().splitlines()[1:-1])

    def sign(self, data):
        return base64.b64encode(RSASSA_PKCS1_v1_5_sign(hashlib.sha256(data), self.private)).decode()


def relaxed(name, value):
    unfolded = re.sub(r"[ \t]+", " ", value.replace("\r\n", ""))
    return f"{name.lower().strip()}:{unfolded.strip()}"


def relaxed_body(body):
    lines = [re.sub("[ \t]+", " ", line).rstrip(" ") for line in body.split("\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\r\n" for line in lines)


def simple_body(body):
    return re.sub(r"(\r\n)*\Z", "", body) + "\r\n"


def b64hash(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def chosen(fields, names):
    """The fields that h= names, from the last one up."""
    left, found = list(fields), []
    for name in names.split(":"):
        for field in reversed(left):
            if field[0].lower().strip() == name.lower().strip():
                found.append(field)
                left.remove(field)
                break
    return found


def with_b(text, signature):
    return re.sub(r"(^|[\s;])b=", r"\g<1>b=" + signature, text, count=1)


class Mail:
    """A message that is sealed hop by hop. fields: (name, value) from the top."""

    def __init__(self, key, fields=None, body=BODY):
        self.key, self.body, self.sets = key, body, 0
        self.fields = [(n, " " + v) for n, v in fields or MESSAGE]
        self.sealed = []  # results, message signature, seal of each set, as they were made

    def tags(self, given, changes):
        """A list of tags; in changes None leaves one out, and a list puts it there several times."""
        given = {**given, **changes}
        return "; ".join(f"{k}={v}" for k, vs in given.items() if vs is not None
                         for v in (vs if isinstance(vs, list) else [vs]))

    def seal(self, ams=None, seal=None, aar=None, leave=(), ams_key=None, seal_key=None, shape=None, seal_shape=None):
        """One more set. ams, seal: tags changed before signing; leave: parts that are left out; shape: what becomes of
        a text before it is signed."""
        self.sets += 1
        i, ams_key, seal_key = self.sets, ams_key or self.key, seal_key or self.key
        results = ("ARC-Authentication-Results",
                   f" i={i}; lists.example.org;\r\n    spf=pass smtp.mfrom=jqd@d1.example" if aar is None else aar)
        before = [results, *self.fields]
        forms = ((ams or {}).get("c") or "relaxed/relaxed").split("/")
        body = (relaxed_body if forms[-1] == "relaxed" and len(forms) > 1 else simple_body)(self.body)
        text = " " + self.tags({"a": "rsa-sha256", "bh": b64hash(body), "c": "relaxed/relaxed", "d": DOMAIN, "h": H,
                                "i": i, "s": ams_key.selector, "t": "12345", "b": ""}, ams or {})
        text = shape(text) if shape else text
        covered = chosen(before, str((ams or {}).get("h", H) or ""))
        if forms[0] == "relaxed":
            data = "".join(relaxed(*f) + "\r\n" for f in covered) + relaxed("ARC-Message-Signature", text)
        else:
            data = "".join(f"{n}:{v}\r\n" for n, v in covered) + f"ARC-Message-Signature:{text}"
        signed = ("ARC-Message-Signature", with_b(text, ams_key.sign(data.encode())))
        text = " " + self.tags({"a": "rsa-sha256", "cv": "none" if i == 1 else "pass", "d": DOMAIN, "i": i,
                                "s": seal_key.selector, "t": "12345", "b": ""}, seal or {})
        text = seal_shape(text) if seal_shape else text
        chain = [f for s in self.sealed for f in s] + [results, signed]
        data = "".join(relaxed(*f) + "\r\n" for f in chain) + relaxed("ARC-Seal", text)
        sealed = ("ARC-Seal", with_b(text, seal_key.sign(data.encode())))
        self.sealed.append([results, signed, sealed])
        parts = {"seal": sealed, "ams": signed, "aar": results}
        self.fields = [parts[p] for p in parts if p not in leave] + self.fields
        return self

    def change(self, name, old, new, which=0):
        """In the field of that name, counted from the top."""
        at = [k for k, f in enumerate(self.fields) if f[0] == name][which]
        assert re.search(old, self.fields[at][1]), (name, old, self.fields[at])
        self.fields[at] = (name, re.sub(old, new, self.fields[at][1], count=1))
        return self

    def octets(self):
        fields = [f"{n}:{v}\r\n" for n, v in self.fields]
        return ("".join(fields) + "\r\n" + self.body).encode()
