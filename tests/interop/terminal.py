"""A program in a terminal of its own (tmux): keys go in, the screen comes out."""
import re
import shutil
import subprocess
import tempfile
import time


class Terminal:
    def __init__(self, command, env, columns=200, rows=60):
        self.place = tempfile.mkdtemp(prefix="letterlock-tmux-")  # a short path, as sockets need
        start = ["-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", str(columns), "-y", str(rows), "env",
                 *(f"{k}={v}" for k, v in env.items()), *command]
        self.tmux(*start, ";", "set-option", "-g", "status", "off", ";", "set-option", "-g", "remain-on-exit", "on")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-u", "-S", f"{self.place}/socket", *args], capture_output=True,
                              check=True).stdout.decode()

    def screen(self):
        return self.tmux("capture-pane", "-p", "-J", "-t", "t")

    def keys(self, *keys):
        self.tmux("send-keys", "-t", "t", *keys)

    def type(self, text):
        self.tmux("send-keys", "-t", "t", "-l", text)

    def wait(self, pattern, seconds=60):
        """The screen, once the pattern is on it and it has come to rest."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            text = self.screen()
            if text == last and re.search(pattern, text):
                return text
            last = text
            time.sleep(0.03)
        raise AssertionError(f"{pattern!r} did not come:\n{last}")

    def close(self):
        subprocess.run(["tmux", "-S", f"{self.place}/socket", "kill-server"], capture_output=True)
        shutil.rmtree(self.place, ignore_errors=True)
