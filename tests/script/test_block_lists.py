"""Own addresses watched on block lists (RFC 5782): a listing is said and shown, and goes with it; what a list refuses,
or says of everybody, is none."""
import json
import time

import pytest

import harness
import names

pytestmark = pytest.mark.needs(*names.NEEDS)
HOST = "mx.here.test"
WORKS = "2.0.0.127 A 127.0.0.2\n" + ".".join("200000f7ffff" + "0" * 20) + " A 127.0.0.2\n"  # section 5, both families
ZONES = {"here.test": "mx A 192.0.2.7\nmx AAAA 2001:db8::7\n", "one.test": WORKS, "two.test": WORKS,
         "three.test": WORKS, "refuses.test": WORKS + "7.2.0.192 A 127.255.255.254\n", "all.test": "* A 127.0.0.2\n",
         "sold.test": "* A 192.0.2.99\n"}
SIX = ".".join("7000000000000000000000008bd01002")
EVENTS = ("block-listed", "block-list-over")


def eventually(what, seconds=120):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return got


class Home:
    def __init__(self, i, n):
        self.i, self.n = i, n

    def publish(self, **zones):
        self.n.change_all({**ZONES, **{f"{name}.test": text for name, text in zones.items()}})

    def listed(self):
        s = json.loads(self.i.run("status", "--json").stdout)
        return [name.removesuffix(".test") for name in s["block_lists"]]

    def events(self):
        return [tuple(w for w in line.split()[-3:]) for line in self.i.log().splitlines()
                if any(f" {e} " in line for e in EVENTS)]

    def round(self):
        """Each thing has been asked for anew, of all three lists at most."""
        asked = self.questions()
        eventually(lambda: self.questions() > asked + 2 + 3 * 2 * 3)

    def questions(self):
        return sum(r["counters"].get("questions", 0) for r in self.i.status()["roles"] if r["role"] == "resolver")


@pytest.fixture(scope="module")
def home():
    with harness.Instance(domain=HOST) as i, names.start(ZONES, ttl=1) as n:
        i.init(**n.settings(), blocklists="one.test, two.test, three.test", blocklists_interval=1, doctor_peer="",
               ingest_instances=1, access_instances=1, relay_instances=2)
        i.serve()
        yield Home(i, n)


def test_listed_and_no_more(home):
    home.round()
    assert home.listed() == [] and home.events() == []
    home.publish(two=WORKS + "7.2.0.192 A 127.0.0.4\n")
    eventually(lambda: home.listed() == ["two"])
    home.round()
    assert home.events() == [("block-listed", "list=2", "ip=4")]  # once
    assert f"block list: two.test has an address of this server: letterlock doctor {HOST}" in home.i.run(
        "status").stdout.decode()
    home.publish(two=WORKS + "7.2.0.192 A 127.0.0.4\n", three=WORKS + f"{SIX} A 127.0.0.10\n")
    eventually(lambda: home.listed() == ["two", "three"])
    home.publish(three=WORKS + f"{SIX} A 127.0.0.10\n")
    eventually(lambda: home.listed() == ["three"])
    home.publish()
    eventually(lambda: home.listed() == [])
    assert home.events() == [("block-listed", "list=2", "ip=4"), ("block-listed", "list=3", "ip=6"),
                             ("block-list-over", "list=2", "ip=4"), ("block-list-over", "list=3", "ip=6")]


def test_what_is_no_listing(home):
    """One refuses who asks, one has ended and says yes to all, one has ended and its name is another's."""
    before = home.events()
    home.i.configure(blocklists="refuses.test, all.test, sold.test")  # no name of which the resolver has kept
    home.i.run("reload")
    home.round()
    assert home.listed() == [] and home.events() == before
    found = json.loads(home.i.run("doctor", HOST, "--json", check=False).stdout)
    about = [f["state"] for f in found if f["id"] == "block-lists" and "192.0.2.7" in f["found"]]
    assert about == ["unknown"] * 3, found
    home.i.configure(blocklists="one.test, two.test, three.test")
    home.i.run("reload")


def test_a_list_that_ends(home):
    """What it said of us goes with it."""
    home.publish(one=WORKS + "7.2.0.192 A 127.0.0.4\n")
    eventually(lambda: home.listed() == ["one"])
    home.publish(one="7.2.0.192 A 127.0.0.4\n")
    eventually(lambda: home.listed() == [])


def test_no_answer_changes_nothing(home):
    home.publish(one=WORKS + "7.2.0.192 A 127.0.0.2\n")
    eventually(lambda: home.listed() == ["one"])
    home.round()
    before = home.events()
    home.n.close_server()
    try:
        time.sleep(5)
        assert home.listed() == ["one"] and home.events() == before
    finally:
        home.n.go()
    eventually(lambda: home.listed() == ["one"])


def test_where_mail_comes_from(home):
    """relay_source instead of the name's addresses; nobody is asked where a smarthost sends."""
    home.publish(one=WORKS + "9.2.0.192 A 127.0.0.2\n")
    eventually(lambda: home.listed() == [])
    home.i.configure(relay_source="192.0.2.9")
    home.i.run("reload")
    eventually(lambda: home.listed() == ["one"])
    home.i.configure(smarthost="127.0.0.1")
    home.i.run("reload")
    eventually(lambda: home.listed() == [])
    asked = home.questions()
    time.sleep(3)
    assert home.questions() == asked
    home.i.configure(smarthost="", blocklists_interval=0)
    home.i.run("reload")
    time.sleep(3)
    assert home.questions() == asked and home.listed() == []
