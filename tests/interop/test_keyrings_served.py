"""Every certificate of the keyrings of Debian and Arch Linux, published and fetched again as strangers do: by WKD, HKP
and VKS, over HTTPS. What comes is what the directory was given, octet by octet."""
import base64
import hashlib
import http.client
import pathlib
import re
import ssl
import subprocess
import urllib.parse

import harness
import keyrings
import pytest

pytestmark = pytest.mark.needs(*(str(keyrings.FOLDER / file) for _, file, _ in keyrings.KEYRINGS.values()))
FILL = pathlib.Path(harness.BINARY).resolve().parent / "tests/unit/published_fill"
USER_IDS_MAX = 8  # of an answer
ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"


def wkd_hash(local):
    lowered = bytes(c | 0x20 if 65 <= c <= 90 else c for c in local.encode())
    n = int.from_bytes(hashlib.sha1(lowered).digest(), "big")
    return "".join(ALPHABET[n >> 5 * i & 31] for i in range(31, -1, -1))


def dearmor(text, check):
    """RFC 9580 section 6.2. check: the checksum as well, which takes Python a second for 5 MB."""
    m = re.fullmatch(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n\r?\n(.*?)(?:\r?\n=(\S{4}))?\r?\n"
                     rb"-----END PGP PUBLIC KEY BLOCK-----\r?\n", text, re.S)
    data = base64.b64decode(re.sub(rb"\s", b"", m[1]), validate=True)
    if m[2] and check:
        crc = 0xb704ce
        for octet in data:
            crc ^= octet << 16
            for _ in range(8):
                crc = crc << 1 ^ (0x1864cfb if crc & 0x800000 else 0)
        assert base64.b64decode(m[2]) == crc.to_bytes(3, "big")
    return data


def packets(data):
    return {whole for _, _, whole in keyrings.packets(data)}


def user_ids(found):
    return sum(x[0] & 63 == 13 for x in found)


def is_full(found, parts):
    """Whether so many user ids leave no room for another address's, which come all or none."""
    return USER_IDS_MAX - max(user_ids(packets(part)) for part in parts) < found <= USER_IDS_MAX


def states(parts):
    """How many of one certificate's are among them: in one, all but user ids and what binds them is the same."""
    found = set()
    for part in parts:
        rest, of_key = [], True
        for tag, _, whole in keyrings.packets(part):
            of_key = tag != 13 and (of_key or tag == 14)
            rest += [whole] if of_key else []
        found.add(b"".join(rest))
    return len(found)


class Web:
    def __init__(self, i):
        self.connection = http.client.HTTPSConnection("127.0.0.1", i.port("https"), timeout=120,
                                                      context=ssl._create_unverified_context())
        self.requests = 0

    def get(self, path, host=harness.DOMAIN):
        self.connection.request("GET", path, headers={"Host": host})
        answer = self.connection.getresponse()
        self.requests += 1
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The server, {address: (fingerprint, octets)}, and what was refused. Two keyrings may have a certificate in two
    states: the last one's are there."""
    place, given, refused = tmp_path_factory.mktemp("rings"), {}, []
    with harness.Instance(web=True) as i:
        i.init(web_instances=1, web_lookups_peer=100000, smtp="no", submissions="no", submission="no", imap="no",
               imaps="no")
        for name, (_, file, day) in keyrings.KEYRINGS.items():
            ring = place / name
            ring.write_bytes(b"".join(c.data for c in keyrings.certificates(keyrings.FOLDER / file)))
            p = subprocess.run([FILL, i.dir, ring, str(keyrings.seconds(day))], env=i.env, check=True,
                               capture_output=True, text=True)
            for fpr, address, octets in (line.split("\t") for line in p.stdout.splitlines()):
                if re.fullmatch("[0-9A-F]+", octets):
                    given[address] = fpr, bytes.fromhex(octets)
                else:
                    refused.append((fpr, address, octets))
        i.serve()
        yield i, given, refused


def test_nearly_all_are_given(served):
    _, given, refused = served
    print(f"{len(given)} addresses of {len({f for f, _ in given.values()})} certificates, "
          f"{sum(len(o) for _, o in given.values())} octets; refused {refused}")
    # With more user ids of one address than an entry has.
    assert len(given) > 3000 and {why for *_, why in refused} <= {"refused"} and len(refused) < len(given) // 500


def test_by_wkd(served):
    i, given, _ = served
    web = Web(i)
    for address, (_, octets) in given.items():
        local, domain = address.rsplit("@", 1)
        path = f"/.well-known/openpgpkey/{domain}/hu/{wkd_hash(local)}?l={urllib.parse.quote(local, safe='')}"
        assert web.get(path, f"openpgpkey.{domain}") == (200, octets), address
        direct = "/.well-known/openpgpkey/" + path.split("/", 4)[4]
        assert web.get(direct, domain) == (200, octets), address


def test_by_address(served):
    i, given, _ = served
    web = Web(i)
    for n, address in enumerate(given):
        quoted = urllib.parse.quote(address, safe="")
        for path in (f"/vks/v1/by-email/{quoted}", f"/pks/lookup?op=get&options=mr&search={quoted}"):
            status, text = web.get(path)
            assert status == 200 and dearmor(text, n % 50 == 0) == given[address][1], address


def test_by_key(served):
    """All addresses of the certificate in one, as many as there is room for."""
    i, given, _ = served
    web, each = Web(i), {}
    for fpr, octets in given.values():
        each.setdefault(fpr, []).append(octets)
    whole = 0
    for fpr, parts in each.items():
        wanted = set().union(*map(packets, parts))
        for path in (f"/vks/v1/by-fingerprint/{fpr}", f"/vks/v1/by-keyid/{fpr[-16:]}",
                     f"/pks/lookup?op=get&options=mr&search=0x{fpr}"):
            status, text = web.get(path)
            came = packets(dearmor(text, False))
            assert status == 200 and came <= wanted and next(keyrings.packets(parts[0]))[2] in came, (fpr, path)
            if len(came) < len(wanted):
                assert states(parts) > 1 or is_full(user_ids(came), parts), (fpr, path)
            whole += came == wanted
    assert whole > len(each) * 3 * 95 // 100


def test_the_index(served):
    i, given, _ = served
    web = Web(i)
    for fpr in sorted({f for f, _ in given.values()})[::10]:
        status, text = web.get(f"/pks/lookup?op=index&options=mr&search=0x{fpr}")
        lines = text.decode().splitlines()
        assert status == 200 and lines[0] == "info:1:1" and lines[1].startswith(f"pub:{fpr}:")
        own = {a for a, (f, _) in given.items() if f == fpr}
        found = {re.search(r"([^<> ]+@[^<> ]+?)>?$", urllib.parse.unquote(x.split(":")[1]))[1].lower()
                 for x in lines[2:]}
        parts = [octets for f, octets in given.values() if f == fpr]
        assert found == own or found < own and is_full(len(lines) - 2, parts), fpr
