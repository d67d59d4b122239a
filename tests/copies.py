"""What harness.Instance makes of instances, copied from the first of a run of the tests that was made alike: init and
accounts cost as much as all else that most tests do. What is copied came about by these steps alone: as soon as a
test runs another command or writes into the folders, all goes its usual way. Instances that are given their place
have a reason (a disk, a crash) and are made anew."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import tempfile

LEFT_OUT = {"reserve"}  # the vault makes it anew
# What makes no difference to the steps: the instance's own places and ports, and what a serving one alone looks at.
OWN = re.compile(r"^(?:port_base|store_key_file|(?:access|complaints|dns|fetch|hold|imap|ingest|mta_sts|queue|relay|"
                 r"send|smarthost|smtp|submission|tls_report|web)(?:_\w+)?) = .*\n", re.M)


def _files(folder):
    """Of a folder, each by its path in it; sockets are a living program's."""
    for at, _, names in os.walk(folder):
        yield os.path.relpath(at, folder), os.lstat(at)
        for name in names:
            path = os.path.join(at, name)
            if name not in LEFT_OUT and not stat.S_ISSOCK((s := os.lstat(path)).st_mode):
                yield os.path.relpath(path, folder), s


def _look(folders):
    return {(str(folder), name): (s.st_ino, s.st_size, s.st_mtime_ns, s.st_mode, s.st_uid)
            for folder in folders for name, s in _files(folder) if not stat.S_ISDIR(s.st_mode)}


def _copy(source, target):
    for name, s in _files(source):
        path = os.path.join(target, name)
        if stat.S_ISDIR(s.st_mode):
            os.makedirs(path, exist_ok=True)
        else:
            shutil.copyfile(os.path.join(source, name), path)
        os.chown(path, s.st_uid, s.st_gid)
        os.chmod(path, stat.S_IMODE(s.st_mode))


class Copies:
    """How far an instance has been made, by which steps."""

    def __init__(self, instance, alike):
        self.i = instance
        self.pool = os.environ.get("LETTERLOCK_TEST_KEYS") if alike else None
        self.steps = []
        self.look()

    def over(self):
        """Something else has been done to it."""
        self.pool = None

    def _folders(self):
        return [f for f in (self.i.place, self.i.keyring.path) if f.exists()]

    def _conf(self):
        path = self.i.dir / "letterlock.conf"
        return path.read_text() if path.exists() else ""

    def _kept(self, step):
        """Where the instance is kept as it is after this step. Programs and environments differ in what they do."""
        binary = os.stat(self.i.binary)
        env = sorted((k, v) for k, v in self.i.env.items() if not k.startswith(("PYTEST_", "LETTERLOCK_DIR")))
        key = [str(self.i.binary), binary.st_mtime_ns, env, self.i.domain, OWN.sub("", self._conf()), self.steps, step]
        return pathlib.Path(self.pool, "made-" + hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest())

    def _keep(self, kept):
        part = pathlib.Path(tempfile.mkdtemp(dir=self.pool))
        for name, folder in (("place", self.i.place), ("keyring", self.i.keyring.path)):
            _copy(folder, part / name)
        own = {"place": str(self.i.place), "base": self.i.base, "passwords": self.i.passwords,
               "made": sorted(self.i.keyring.made)}
        (part / "own").write_text(json.dumps(own))
        try:
            part.rename(kept)
        except OSError:  # another process was faster
            shutil.rmtree(part)

    def _take(self, kept):
        before = self._conf()
        for name, folder in (("place", self.i.place), ("keyring", self.i.keyring.path)):
            _copy(kept / name, folder)
        own = json.loads((kept / "own").read_text())
        text = self._conf().replace(own["place"], str(self.i.place))
        text = text.replace(f"port_base = {own['base']}\n", f"port_base = {self.i.base}\n")
        (self.i.dir / "letterlock.conf").write_text(before or text)
        self.i.passwords.update(own["passwords"])
        self.i.keyring.made.update(own["made"])

    def step(self, step, really):
        """Has the instance made by really(), or copied."""
        pool = self.pool
        if not self.untouched() or "/" in json.dumps(step, default=str):  # what a file has is not in its name
            self.over()
            really()
            return
        kept = self._kept(step)
        if kept.exists():
            self._take(kept)
        else:
            really()
            self.pool = pool  # its commands were the step's own
            self._keep(kept)
        self.steps.append(step)
        self.look()

    def untouched(self):
        """Since the last look."""
        return bool(self.pool) and self.seen == _look(self._folders())

    def look(self):
        self.seen = _look(self._folders())
