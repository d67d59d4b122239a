"""A tool of tests/unit that runs a role by itself and asks it what it is told to, a line each, on its standard
input."""
import subprocess


class RoleTool:
    """tool, with these settings of the configuration."""

    def __init__(self, place, settings, tool, wrapper=()):
        self.place, self.name = place, tool.name
        self.settings(settings)
        self.process = subprocess.Popen([*wrapper, tool, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        first = self.process.stdout.readline()
        assert first == "ready\n", first

    def settings(self, settings):
        text = "".join(f"{k} = {v}\n" for k, v in {"role_uid_base": 61800, **settings}.items())
        (self.place / "letterlock.conf").write_text(text)

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def heard(self):
        line = self.process.stdout.readline()
        assert line, f"{self.name} ended"
        return line.rstrip("\n")

    def until_done(self):
        return list(iter(self.heard, "done"))

    def counters(self):
        self.say("status")
        return {name: int(value) for _, name, value in map(str.split, self.until_done())}

    def pid(self):
        self.say("pid")
        return int(self.heard().split()[1])

    def close(self):
        self.process.stdin.close()
        rest = self.process.stdout.read()
        assert self.process.wait(60) == 0 and "badly" not in rest, rest

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
