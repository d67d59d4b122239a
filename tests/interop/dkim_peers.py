"""Real mail signed by us and by others, changed on its way, and verified by us and by others: what each says, and why
they differ. test_dkim_verdicts.py compares it with dkim_verdicts.tsv."""
import collections
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import corpus
import dkim
import names

TOOLS = pathlib.Path(os.environ["LETTERLOCK_BINARY"]).parent / "tests/interop"
TABLE = pathlib.Path(__file__).with_name("dkim_verdicts.tsv")
FORMS = [("relaxed", "relaxed"), ("simple", "simple"), ("relaxed", "simple"), ("simple", "relaxed")]
SIGNERS = ("ours", "dkimpy", "perl", "opendkim")
VERIFIERS = ("dkimpy", "perl", "opendkim", "rspamd")
Case = collections.namedtuple("Case", "mail change signer path")

# Reads a file of keys, then names of files; prints a line for each, of its signatures @s.
PERL_VERIFY = """
use Mail::DKIM::Verifier; use Mail::DKIM::PublicKey;
my %txt; open(my $k, "<", $ARGV[0]) or die;
while (<$k>) { chomp; my ($n, $t) = split /\\t/; $n =~ s/\\._domainkey.*//; $txt{$n} = $t }
{ no warnings; *Mail::DKIM::PublicKey::fetch_async = sub {
    my ($class, %p) = @_;
    my $key = Mail::DKIM::PublicKey->parse($txt{$p{Selector}});
    return sub { $p{Callbacks}{Success}->($key); $key } }; }
while (my $file = <STDIN>) {
    chomp $file;
    open(my $f, "<:raw", $file) or die; local $/ = undef; my $mail = <$f>; $/ = "\\n";
    my $v = Mail::DKIM::Verifier->new(); $v->PRINT($mail); $v->CLOSE;
    my @s = $v->signatures;
    print((%s), "\\n");
}
"""
PASSED = 'join(" ", map { $_->selector } grep { $_->result eq "pass" } @s)'
PERL_SIGN = """
use Mail::DKIM::Signer; use Mail::DKIM::PrivateKey;
my $key = Mail::DKIM::PrivateKey->load(File => $ARGV[0]);
while (<STDIN>) {
    chomp; my ($file, $out, $forms) = split /\\t/;
    open(my $f, "<:raw", $file) or die; local $/ = undef; my $mail = <$f>; $/ = "\\n";
    my $s = Mail::DKIM::Signer->new(Algorithm => "rsa-sha256", Method => $forms, Domain => "sender.test",
        Selector => "peer", Key => $key);
    $s->PRINT($mail); $s->CLOSE;
    open(my $o, ">:raw", $out) or die;
    print $o $s->signature->as_string, "\\015\\012", $mail; close $o;
}
"""


def run(*words, lines):
    return subprocess.run(list(map(str, words)), input="".join(f"{x}\n" for x in lines), capture_output=True, text=True,
                          check=True, timeout=3000).stdout.splitlines()


# ---- what is changed on the way ----

def header_end(data):
    return data.index(b"\r\n\r\n") + 2


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def flip_body(data):
    """Of the body's letters the one in the middle."""
    at = [m.start() for m in re.finditer(rb"[a-zA-Z]", data[header_end(data) + 2:])]
    return flip(data, header_end(data) + 2 + at[len(at) // 2]) if at else data + b"x\r\n"


def flip_field(name):
    def change(data):
        found = re.search(rb"^" + name + rb":[^\n]*?[a-zA-Z]{2}", data[:header_end(data)], re.M | re.I)
        return flip(data, found.end() - 1) if found else data
    return change


def flip_signature(tag):
    def change(data):
        found = re.search(rb"[;\s]" + tag + rb"=\s*([A-Za-z0-9+/])", data[:data.index(b"\r\n\r\n")])
        return flip(data, found.start(1)) if chr(found[1][0] ^ 1).isalnum() else flip(data, found.start(1) + 1)
    return change


def last_first(data):
    """The last field on top: nothing to a signature, unless it is one of several."""
    fields = re.split(rb"(?<=\r\n)(?=[^ \t])", data[:header_end(data)])
    return b"".join([fields[-1], *fields[:-1]]) + data[header_end(data):]


def fold(data):
    return re.sub(rb"^(Subject:[^\r\n]* )", rb"\1\r\n ", data, count=1, flags=re.M | re.I)


CHANGES = {
    "none": lambda d: d,
    "body": flip_body,
    "from": flip_field(b"From"),
    "subject": flip_field(b"Subject"),
    "bh": flip_signature(b"bh"),
    "b": flip_signature(b"b"),
    "order": last_first,
    "fold": fold,
    "author": lambda d: b"From: Boss <boss@sender.test>\r\n" + d,
    "suffix": lambda d: d + b"More.\r\n",
}


# ---- signing ----

def make_key(folder):
    key = folder / "peer.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "1024"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", key, "-pubout"], check=True, capture_output=True, text=True).stdout
    return key, "v=DKIM1; k=rsa; p=" + "".join(der.splitlines()[1:-1])


def sign_ours(folder, jobs, _):
    out = run(TOOLS / "dkim_tool", folder, lines=[path for _, path, _ in jobs])
    done = {}
    for k, (n, path, _) in enumerate(jobs):
        if out[k].endswith("ok"):
            done[n] = (folder / f"{k}.eml").read_bytes()
    return done


def sign_dkimpy(_, jobs, key):
    pem = key.read_bytes()
    done = {}
    for n, path, forms in jobs:
        data = path.read_bytes()
        try:
            field = dkim.sign(data, b"peer", b"sender.test", pem, canonicalize=tuple(x.encode() for x in forms),
                              length=n % 8 == 1)
        except dkim.MessageFormatError:
            continue
        done[n] = field + data
    return done


def sign_perl(folder, jobs, key):
    run("perl", "-e", PERL_SIGN, key, lines=[f"{path}\t{folder / f'{n}.eml'}\t{'/'.join(forms)}"
                                             for n, path, forms in jobs])
    return {n: (folder / f"{n}.eml").read_bytes() for n, _, _ in jobs}


def sign_opendkim(folder, jobs, key):
    done = {}
    for forms in FORMS:
        some = [job for job in jobs if job[2] == forms]
        out = run(TOOLS / "opendkim_tool", "sign", key, "rsa", *forms, folder, lines=[path for _, path, _ in some])
        for k, (n, _, _) in enumerate(some):
            if out[k] == "ok":
                done[n] = (folder / f"{k}.eml").read_bytes()
    return done


SIGN = {"ours": sign_ours, "dkimpy": sign_dkimpy, "perl": sign_perl, "opendkim": sign_opendkim}


def signed(folder, wanted=None):
    """(cases, file of the keys): each mail signed by one of the four, in a form that goes by its place among all, as it
    is and changed: in each way, or of the wanted ones (one of 61, and those named) in one."""
    mails, listed = [], {s: [] for s in SIGNERS}
    (folder / "mails").mkdir()
    for n, (name, data) in enumerate(corpus.messages()):
        mails.append(name)
        if wanted is None or n % 61 == 0 or any(name == mail for mail, _ in wanted):
            path = folder / "mails" / str(n)
            path.write_bytes(corpus.wire(data.replace(b"\r", b"")))
            listed[SIGNERS[n % 4]].append((n, path, FORMS[n // 4 % 4]))
    key, record = make_key(folder)
    cases, changes = [], list(CHANGES)
    for signer, jobs in listed.items():
        place = folder / signer
        place.mkdir()
        for n, data in SIGN[signer](place, jobs, key).items():
            some = {changes[0], changes[1 + n % (len(changes) - 1)]} if wanted is not None else set(changes)
            for change in some | {c for c in changes if (mails[n], c) in (wanted or {})}:
                path = place / f"{n}.{change}"
                path.write_bytes(CHANGES[change](data))
                cases.append(Case(mails[n], change, signer, path))
    keys = folder / "keys"
    ours = {s: (folder / "ours" / f"{s}.txt").read_text() for s in ("rsa", "ed")}
    keys.write_text("".join(f"{s}._domainkey.sender.test\t{txt}\n" for s, txt in {**ours, "peer": record}.items()))
    return cases, keys


# ---- verifying ----

def ours(cases, keys):
    """(selectors that pass, reasons of the others) of each."""
    found = []
    for line in run(TOOLS / "verify_tool", keys, lines=[c.path for c in cases]):
        verdicts = [v.split("/") for v in line.split("\t")[0].split("; ") if v]
        found.append(({v[3] for v in verdicts if v[0] == "pass"}, {v[4] for v in verdicts if v[0] != "pass"}))
    return found


def by_dkimpy(cases, keys):
    texts = dict(line.split("\t") for line in keys.read_text().splitlines())
    found = []
    for c in cases:
        passed, data = set(), c.path.read_bytes()
        fields = re.findall(rb"^DKIM-Signature:.*(?:\r\n[ \t].*)*", data[:header_end(data)], re.M | re.I)
        for i, field in enumerate(fields):
            try:
                d = dkim.DKIM(data)
                if d.verify(idx=i, dnsfunc=lambda name, timeout=5: texts.get(name.decode().rstrip("."), "").encode()):
                    passed.add(d.selector.decode())
            except (dkim.DKIMException, ValueError, KeyError, TypeError, IndexError):
                pass
        found.append(passed)
    return found


def by_perl(cases, keys):
    verify = PERL_VERIFY.replace("%s", PASSED)
    return [set(line.split()) for line in run("perl", "-e", verify, keys, lines=[c.path for c in cases])]


def by_opendkim(cases, keys):
    return [set(line.split()) - {"refused"}
            for line in run(TOOLS / "opendkim_tool", "verify", keys, lines=[c.path for c in cases])]


RSPAMD = """
options {{ filters = "dkim"; explicit_modules = ["dkim"]; pidfile = "{0}/pid"; tempdir = "{0}"; hs_cache_dir = "{0}";
    control_socket = "{0}/control mode=0600"; url_tld = "{0}/tld"; task_timeout = 60s;
    dns {{ nameserver = ["127.0.0.1:{1}"]; timeout = 30s; retransmits = 3; }} }}
logging {{ type = "file"; filename = "{0}/log"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{2}"; count = 1; mime = true; }}
actions {{ reject = 1000; }}
dkim {{ trusted_only = false; max_sigs = 20; check_local = true; check_authed = true; }}
"""


def zone(keys):
    rows = [line.split("\t") for line in keys.read_text().splitlines()]
    return "\n".join("{} TXT {}".format(name.removesuffix(".test"), " ".join(
        f'"{txt[i:i + 250]}"' for i in range(0, len(txt), 250))) for name, txt in rows)


def ask_rspamd(cases, port):
    """Its symbol for signatures that pass names them."""
    c, found = http.client.HTTPConnection("127.0.0.1", port, timeout=300), []
    for case in cases:
        c.request("POST", "/checkv2", case.path.read_bytes(), {"IP": "192.0.2.1"})
        symbols = json.loads(c.getresponse().read())["symbols"]
        found.append({o.split("s=")[1] for o in symbols.get("R_DKIM_ALLOW", {}).get("options", [])})
    return found


def by_rspamd(cases, keys):
    folder = keys.parent / "rspamd"
    folder.mkdir()
    (folder / "tld").write_text("test\n")  # compiling the usual list takes minutes
    with names.start({"test": zone(keys)}) as n:
        port = n.base + 7
        (folder / "conf").write_text(RSPAMD.format(folder, n.port, port))
        with subprocess.Popen(["rspamd", "-f", "-i", "-c", folder / "conf",
                               *(w for v in ("DBDIR", "RUNDIR", "LOGDIR") for w in ("--var", f"{v}={folder}"))],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            try:
                until = time.monotonic() + 300
                while not listens(port):
                    assert p.poll() is None and time.monotonic() < until, "rspamd does not listen"
                    time.sleep(0.1)
                return ask_rspamd(cases, port)
            finally:
                p.terminate()


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


VERIFY = {"dkimpy": by_dkimpy, "perl": by_perl, "opendkim": by_opendkim, "rspamd": by_rspamd}


# ---- why they differ ----

def fields_of(data):
    head = data[:header_end(data)]
    return re.split(rb"(?<=\r\n)(?=[^ \t\r])", head)


def count(data, name):
    return sum(1 for f in fields_of(data) if re.match(name + rb"[ \t]*:", f, re.I))


def has_address(data):
    author = [f for f in fields_of(data) if re.match(rb"From[ \t]*:", f, re.I)]
    return any(b"@" in f for f in author)


# Whoever takes what is signed in part takes what anybody writes behind it, and who takes several From has two authors:
# by the signature, or by the change, not by the mail.
BY_CONSTRUCTION = {"length", "several-from"}


# RFC 5322 has them once.
ONCE = (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc", b"Subject", b"Date", b"Message-ID", b"In-Reply-To",
        b"References", b"Return-Path")


def explain(verifier, case, mine, theirs):
    """Why a verifier differs from us: a word, or "?" if it is not known."""
    data = case.path.read_bytes()
    passed, reasons = mine
    if theirs > passed:
        if count(data, b"From") > 1 and reasons == {"not one From"}:
            return "several-from"
        if re.search(rb"^DKIM-Signature:[^:]*; l=\d", data, re.M) and reasons == {"the body is signed in part (l=)"}:
            return "length"
        return "?" + "+".join(sorted(reasons))
    if verifier == "opendkim" and theirs < passed and not has_address(data):
        return "no-author"  # it takes it for no mail at all
    if verifier == "rspamd" and theirs < passed:
        if any(count(data, name) > 1 for name in ONCE):
            return "several-fields"  # of a kind that there is once: it fails them although all are signed
        if re.search(rb"^[^A-Za-z \t]", data[:header_end(data)], re.M):
            return "odd-name"  # ">Received:", "1:"
        if re.search(rb"[\f\v]", data):
            return "form-feed"  # which it takes for a blank
    return "?"


def compare(cases, keys):
    """{(mail, change): (signer, what differs)}, of those where something does."""
    mine = ours(cases, keys)
    theirs = {name: VERIFY[name](cases, keys) for name in VERIFIERS}
    rows = {}
    for i, case in enumerate(cases):
        differs = []
        for name in VERIFIERS:
            passed = mine[i][0] - ({"ed"} if name == "perl" else set())  # it knows RSA alone
            if theirs[name][i] != passed:
                differs.append(f"{name}:{explain(name, case, (passed, mine[i][1]), theirs[name][i])}")
        if differs:
            rows[case.mail, case.change] = (case.signer, ",".join(differs))
    return rows, mine


def table():
    """{(mail, change): (signer, what differs)} of dkim_verdicts.tsv."""
    lines = [line.split("\t") for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {(mail, change): (signer, differs) for mail, change, signer, differs in lines}
