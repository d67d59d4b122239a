"""Clients that people write with: Thunderbird and neomutt send through submission, in the clear and end-to-end
encrypted, to accounts here and to others; the copy in Sent, the answer and its thread."""
import email
import email.policy
import time

import harness
import peers
import pytest
import terminal
import thunderbird

ALICE, BOB, OUTSIDE = f"alice@{harness.DOMAIN}", f"bob@{harness.DOMAIN}", "carol@world.example"
OTHERS = 5


class World(peers.World):
    def __init__(self):
        super().__init__(harness.Instance())

    def newest(self, address, box="INBOX"):
        """As it is served, and decrypted."""
        got = self.instance.fetch_all(address, box)
        rendered = got[max(got)]
        return (email.message_from_bytes(rendered, policy=email.policy.default),
                self.instance.keyring.decrypt(harness.armor_of(rendered)))

    def outside(self, count, seconds=60):
        """What the others' server has taken, once it is so much."""
        end = time.monotonic() + seconds
        while len(self.peer.mails) < count:
            assert time.monotonic() < end, self.instance.log()[-3000:]
            time.sleep(0.1)
        return email.message_from_bytes(self.peer.mails[-1].octets, policy=email.policy.default)


@pytest.fixture
def world():
    w = World()
    yield w
    w.close()


@pytest.mark.needs(*thunderbird.PROGRAMS)
def test_thunderbird(world):
    # Thunderbird takes what it decrypted last for another account's message of the same mailbox and UID.
    for _ in range(OTHERS):
        world.instance.send(ALICE, harness.mail())
    with thunderbird.Thunderbird(world.instance, world.instance.passwords, starttls=(BOB,)) as t:
        # In the clear, by 465: sealed here.
        t.write(ALICE, BOB, "Of plain mail", "The text of plain mail.", encrypts=False)
        key, = t.fetch(BOB, 1)
        o = t.open(BOB, key)
        assert (o["subject"], o["encryption"], o["signature"]) == ("Of plain mail", "MSG_ENC_OK", "MSG_SIG_NONE")
        assert "The text of plain mail." in o["body"]
        outer, inside = world.newest(BOB)
        assert outer["Sealed-By"] and b"Thunderbird" not in inside and b"User-Agent" not in inside
        # The answer, by 587, is encrypted by Thunderbird itself, since the mail was; it is kept as it came.
        reply = t.reply(BOB, key, "My answer.")
        assert reply["encrypts"] and reply["to"] == ALICE
        key = t.fetch(ALICE, OTHERS + 1)[-1]
        o = t.open(ALICE, key)
        assert o["encryption"] == "MSG_ENC_OK" and "My answer." in o["body"] and "The text of plain" in o["body"]
        outer, inside = world.newest(ALICE)
        assert not outer["Sealed-By"] and b"My answer." in inside
        # Both are one thread, where the copy of the first is as well.
        sent, = t.fetch(ALICE, 1, "SentMail")
        assert t.open(ALICE, sent, box="SentMail")["outside"]["id"] in outer["References"]
        copy, inside = world.newest(ALICE, "Sent")
        assert copy["Subject"] == "[...]" and b"The text of plain mail." in inside
        # End-to-end from the start.
        t.write(ALICE, BOB, "Of secrets", "Nobody between reads this.", encrypts=True)
        key = t.fetch(BOB, 2)[-1]
        o = t.open(BOB, key)
        assert (o["subject"], o["encryption"], o["signature"]) == ("Of secrets", "MSG_ENC_OK", "MSG_SIG_VALID_SELF")
        outer, inside = world.newest(BOB)
        assert not outer["Sealed-By"] and outer["Subject"] == "..." and b"Nobody between" in inside
        copy, inside = world.newest(ALICE, "Sent")
        assert not copy["Sealed-By"] and b"Nobody between" in inside and b"Subject: Of secrets" in inside
        # To somebody elsewhere.
        t.write(ALICE, OUTSIDE, "Of the world", "Out into the world.", encrypts=False)
        m = world.outside(1)
        assert (m["Subject"], m["To"]) == ("Of the world", OUTSIDE) and "Out into the world." in m.get_content()
        assert "Thunderbird" not in m.as_string() and "127.0.0.1" not in m.as_string()


MUTTRC = """
set folder="imaps://{user}@localhost:{imaps}/" spoolfile="+INBOX" record="+Sent" copy=yes confirmcreate=no
set imap_user="{user}" imap_pass="{password}" smtp_pass="{password}" smtp_url="{scheme}://{quoted}@localhost:{smtp}/"
set ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no certificate_file="{dir}/tls/chain.pem"
set from="{user}" realname="" use_from=yes hostname="laptop.home" editor="{editor}" abort_unmodified=no
set sort=threads wait_key=no sleep_time=0 delete=no move=no quit=yes help=no fast_reply=yes include=yes
set crypt_use_gpgme=yes crypt_protected_headers_read=yes crypt_protected_headers_write=yes pgp_self_encrypt=yes
set pgp_default_key="{key}" crypt_verify_sig=yes header_cache="" message_cachedir="" mail_check=0
set index_format="IDX%C|%s" pager_format="PAGER%C." status_format="INDEX" compose_format="COMPOSE"
set pager_index_lines=0
"""


class Neomutt:
    def __init__(self, instance, address, service, place):
        place.mkdir()
        self.text = place / "text"
        editor = place / "editor"  # what is there already, as the quote of an answer, stays below
        editor.write_text(f'#!/bin/sh\ncat {self.text} "$1" >{place}/new && cat {place}/new >"$1"\n')
        editor.chmod(0o755)
        (place / "muttrc").write_text(MUTTRC.format(
            user=address, quoted=address.replace("@", "%40"), password=instance.passwords[address],
            imaps=instance.port("imaps"), smtp=instance.port(service), dir=instance.dir, editor=editor,
            scheme="smtps" if service == "submissions" else "smtp", key=instance.keyring.fingerprint(address)))
        env = {"HOME": str(place), "GNUPGHOME": str(instance.keyring.path), "LANG": "C.UTF-8",
               "TERM": "screen-256color"}
        self.screen = terminal.Terminal(["neomutt", "-n", "-F", str(place / "muttrc")], env)

    def __enter__(self):
        self.screen.wait("INDEX")
        return self

    def __exit__(self, *exc):
        self.screen.close()

    def send(self, encrypts):
        self.screen.wait("COMPOSE")
        if encrypts:
            self.screen.keys("p")
            self.screen.wait(r"\(b\)oth")
            self.screen.keys("b")
            self.screen.wait("Sign, Encrypt")
        self.screen.keys("y")
        assert "INDEX" in self.screen.wait("INDEX|failed|rror"), self.screen.screen()

    def write(self, to, subject, text, encrypts=False):
        self.text.write_text(text)
        self.screen.keys("m")
        for prompt, answer in (("To:", to), ("Subject:", subject)):
            self.screen.wait(prompt)
            self.screen.type(answer)
            self.screen.keys("Enter")
        self.send(encrypts)

    def reply(self, n, text):
        self.text.write_text(text)
        self.screen.keys(str(n), "Enter", "r")
        self.send(encrypts=False)  # neomutt does so by itself, if the mail was

    def show(self, n):
        self.screen.keys("q") if "PAGER" in self.screen.screen() else None
        self.screen.wait(rf"IDX{n}\|")
        self.screen.keys(str(n), "Enter", "Enter")
        text = self.screen.wait(rf"PAGER{n}\.")
        self.screen.keys("q")
        self.screen.wait("INDEX")
        return text


@pytest.mark.needs("neomutt", "tmux")
@pytest.mark.parametrize("service", ["submissions", "submission"])
def test_neomutt(world, tmp_path, service):
    i = world.instance
    with Neomutt(i, ALICE, service, tmp_path / "alice") as alice:
        alice.write(BOB, "Of plain mail", "The text of plain mail.\n")
        outer, inside = world.newest(BOB)
        assert outer["Sealed-By"] and b"The text of plain mail." in inside and b"laptop.home" not in inside
        alice.write(BOB, "Of secrets", "Nobody between reads this.\n", encrypts=True)
        outer, inside = world.newest(BOB)
        assert not outer["Sealed-By"] and b"Nobody between" in inside and b"Of secrets" in inside
        assert outer["Subject"] == "..." and "NeoMutt" not in outer.as_string()
        copy, inside = world.newest(ALICE, "Sent")
        assert b"Nobody between" in inside and not copy["Sealed-By"]
        with Neomutt(i, BOB, service, tmp_path / "bob") as bob:
            text = bob.show(2)
            assert "Nobody between reads this." in text and "Good signature" in text and "Of secrets" in text, text
            bob.reply(2, "My answer.\n")
        outer, inside = world.newest(ALICE)
        assert not outer["Sealed-By"] and b"My answer." in inside and b"> Nobody between" in inside
        assert outer["In-Reply-To"] in [world.newest(BOB)[0]["Message-ID"]]
        alice.write(OUTSIDE, "Of the world", "Out into the world.\n")
        m = world.outside(1)
        assert (m["Subject"], m["To"]) == ("Of the world", OUTSIDE) and "Out into the world." in m.get_content()
        assert "laptop.home" not in m.as_string() and "NeoMutt" not in m.as_string()
