"""What the tests of pressure share: crowds of sessions that hold what they can, honest senders beside them with the
figures that count, and what the server's processes hold."""
import collections
import concurrent.futures
import contextlib
import heapq
import pathlib
import re
import resource
import selectors
import socket
import threading
import time

import harness

MINUTE = 60  # in which honest mail gets in


def many_files():
    """For crowds, and for the server that is started after it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ---- crowds ----
#
# What a session of a crowd does is a generator, called with its number. It yields bytes to send; a number of seconds to
# wait; text that a line of the server must begin with before it goes on; or DEAF, after which nothing is read any more.
# When it returns, the session only sits there. A session that the server ends begins anew, after `again` seconds.

DEAF = object()
ESTABLISHED = b"\1"  # in TCP_INFO: how a session that reads nothing learns that it was ended


class Session:
    def __init__(self, crowd, number):
        self.crowd, self.number = crowd, number
        self.sock, self.deaf = None, False

    def begin(self):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.steps, self.wanted, self.lines, self.out = self.crowd.script(self.number), None, b"", b""
        self.deaf = False
        try:
            self.sock.bind((self.crowd.address(self.number), 0))
            with contextlib.suppress(BlockingIOError):
                self.sock.connect(("127.0.0.1", self.crowd.port))
        except OSError:
            self.over()
            return
        self.crowd.begun += 1
        self.watch()
        self.go_on()

    def watch(self):
        events = (0 if self.deaf else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self.out else 0)
        with contextlib.suppress(KeyError):
            self.crowd.selector.unregister(self.sock)
        if events:
            self.crowd.selector.register(self.sock, events, self)

    def look_alive(self, sock):
        if sock is self.sock and sock:
            if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == ESTABLISHED:
                self.crowd.later(0.5, self.look_alive, sock)
            else:
                self.crowd.ended += 1
                self.over()

    def over(self):
        """Ended by the server, or never begun."""
        with contextlib.suppress(KeyError, ValueError):
            self.crowd.selector.unregister(self.sock)
        self.sock.close()
        self.sock = None
        self.crowd.later(self.crowd.again, self.begin)

    def go_on(self):
        while self.sock and not self.out and self.wanted is None:
            step = next(self.steps, None)
            if step is None:
                return
            if isinstance(step, str):
                self.wanted = step.encode()
                self.look()
            elif step is DEAF:
                self.deaf = True
                self.watch()
                self.look_alive(self.sock)
            elif isinstance(step, bytes):
                self.out = step
                self.send()
            else:
                self.wanted = b"\0"  # nothing that comes
                self.crowd.later(step, self.woken, self.sock)
                return

    def woken(self, sock):
        if sock is self.sock and self.sock:
            self.wanted = None
            self.go_on()

    def send(self):
        try:
            while self.out:
                n = self.sock.send(self.out[:1 << 18])
                self.out = self.out[n:]
                self.crowd.sent += n
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.over()
            return
        self.watch()

    def look(self):
        while self.wanted not in (None, b"\0") and b"\n" in self.lines:
            line, self.lines = self.lines.split(b"\n", 1)
            if line.startswith(self.wanted):
                self.wanted = None

    def ready(self, events):
        if events & selectors.EVENT_WRITE:
            self.send()
        if self.sock and events & selectors.EVENT_READ:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.crowd.ended += 1
                self.over()
                return
            self.crowd.replies[data[:9].rstrip()] += 1
            self.lines = (self.lines + data)[-4096:]
            self.look()
        if self.sock:
            self.go_on()


class Crowd(threading.Thread):
    """So many sessions, from address(number) each, as long as the context lasts."""

    def __init__(self, port, count, script, address, again=1.0):
        super().__init__(daemon=True)
        self.port, self.script, self.address, self.again = port, script, address, again
        self.selector = selectors.DefaultSelector()
        self.sessions = [Session(self, n) for n in range(count)]
        self.timers, self.order = [], 0
        self.begun = self.ended = self.sent = 0
        self.replies = collections.Counter()
        self.stopping = threading.Event()

    def later(self, seconds, fn, *args):
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.order, fn, args))

    def run(self):
        for s in self.sessions:
            s.begin()
        while not self.stopping.is_set():
            while self.timers and self.timers[0][0] <= time.monotonic():
                fn, args = heapq.heappop(self.timers)[2:]
                fn(*args)
            for key, events in self.selector.select(0.05):
                if key.data.sock is key.fileobj:
                    key.data.ready(events)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.join()
        for s in self.sessions:
            if s.sock:
                s.sock.close()
        self.selector.close()


def networks(count, first=1):
    """Addresses of loopback, each number's in one of so many /24s."""
    return lambda n: f"127.{first}.{n % count}.{n // count % 250 + 1}"


# ---- honest senders ----


def smtp_once(instance, address, recipient, message, timeout=MINUTE):
    """Seconds until the 250, or the reply that refused it."""
    begin = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", instance.port("smtp")), timeout, (address, 0)) as s:
            f = s.makefile("rwb")

            def ask(words, want):
                if words:
                    f.write(words + b"\r\n")
                    f.flush()
                while (line := f.readline())[3:4] == b"-":
                    pass
                if not line.startswith(want):
                    raise ConnectionError(line.decode(errors="replace").strip() or "closed")

            ask(b"", b"220")
            ask(b"EHLO honest.example", b"250")
            ask(b"MAIL FROM:<honest@example.org>", b"250")
            ask(b"RCPT TO:<%s>" % recipient.encode(), b"250")
            ask(b"DATA", b"354")
            ask(message + b"\r\n.", b"250")
            took = time.monotonic() - begin
            f.write(b"QUIT\r\n")
            f.flush()
            f.readline()
            return took
    except (OSError, ConnectionError) as e:
        return f"{e} after {time.monotonic() - begin:.1f} s"


def honest_mail(instance, recipient, count=70, over=7, first=200, body="A body.\n"):
    """So many messages, each another, within `over` seconds, each from a network of its own, once each. How many
    got in within a minute of their connection is returned and said, with the figures."""
    def one(n):
        time.sleep(n * over / count)
        return smtp_once(instance, f"127.{first + n // 250}.{n % 250}.7", recipient,
                         harness.mail(f"honest {n}", body))

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        results = list(pool.map(one, range(count)))
    took = [r for r in results if not isinstance(r, str) and r <= MINUTE]
    refused = collections.Counter(re.sub(r"( \[\w+\])? after .*", "", r) for r in results if isinstance(r, str))
    print(f"{len(took)} of {count} honest messages in; slowest {max(took, default=0):.2f} s; refused: {dict(refused)}")
    return len(took)


# ---- what the server holds ----


def counter(instance, role, name):
    """Summed over the role's processes."""
    return sum(r["counters"].get(name, 0) for r in instance.status()["roles"] if r["role"] == role)


def rss_kb(instance, role):
    """Of each process of the role, memory that it has to itself and shares. Not pages of the store's file that it has
    looked at: the more mail has come, the more there are, and the kernel takes them back when it wants."""
    return {pid: own_kb(pid) for pid in instance.pids(role)}


def own_kb(pid):
    kb, path = 0, ""
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if m := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)", line):
            path = m[1]
        elif line.startswith("Rss:") and not path.endswith("/data.mdb"):
            kb += int(line.split()[1])
    return kb


def as_small(instance, role, before, more_kb, seconds=30):
    """Waits until no process has more than so much more: heaps are trimmed now and then."""
    end = time.monotonic() + seconds
    while True:
        now = rss_kb(instance, role)
        assert set(now) == set(before), "a process died"
        if all(now[pid] < before[pid] + more_kb for pid in before) or time.monotonic() > end:
            break
        time.sleep(0.5)
    print(f"memory of {role}: {before} KB before, {now} KB after, {time.monotonic() - end + seconds:.1f} s later")
    assert all(now[pid] < before[pid] + more_kb for pid in before)


def settled(instance, role, *names, seconds=30):
    """Waits until each of these counters is 0 again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(counter(instance, role, n) for n in names):
        time.sleep(0.2)
    for n in names:
        assert counter(instance, role, n) == 0, n


# ---- honest readers ----


class Noops(threading.Thread):
    """A session of each address that says NOOP again and again as long as the context lasts; how long each took, and
    what ended a session."""

    def __init__(self, instance, addresses, every=0.1):
        super().__init__(daemon=True)
        self.sessions = [instance.imap(a) for a in addresses]
        for m in self.sessions:
            m.select("INBOX")
        self.every, self.stopping = every, threading.Event()
        self.took, self.failed = [], []
        self.since = time.monotonic()

    def run(self):
        while not self.stopping.wait(self.every):
            for m in self.sessions:
                begin = time.monotonic()
                try:
                    m.noop()
                except Exception as e:  # whatever it is, it is told
                    self.failed.append(repr(e))
                    return
                self.took.append(time.monotonic() - begin)

    def answered(self, what, within):
        """Since the last call: each in less than so many seconds, and as many as that makes at least."""
        end = time.monotonic() + MINUTE
        while len(self.took) < len(self.sessions) and not self.failed and time.monotonic() < end:
            time.sleep(0.01)
        took, self.took = self.took, []
        seconds, self.since = time.monotonic() - self.since, time.monotonic()
        least = len(self.sessions) * max(1, int(seconds / (self.every + within * len(self.sessions))))
        print(f"{what}: {len(took)} honest NOOPs in {seconds:.1f} s, the slowest {max(took, default=0) * 1000:.0f} ms")
        assert not self.failed
        assert max(took, default=0) < within
        assert len(took) >= least

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.join()
        for m in self.sessions:
            with contextlib.suppress(Exception):
                m.logout()
