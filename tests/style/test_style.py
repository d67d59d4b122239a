"""The habits that a program can check; CONTRIBUTING.md has them all."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINE, FUNCTION, FILE = 120, 60, 600
SOURCES = ("crypto", "store", "server", "keyserver", "webmail-api")


def tree():
    """Every file of ours: of the repository's files, or where there is none, all; without the fuzzers' seeds."""
    p = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                       capture_output=True, text=True)
    names = p.stdout.split("\0")[:-1] if p.returncode == 0 else [
        f.relative_to(ROOT).as_posix() for f in ROOT.rglob("*")
        if not re.match(r"build|instance|\.git/", f.relative_to(ROOT).as_posix())]
    return sorted(n for n in names if not n.startswith("tests/fuzz/corpus/") and (ROOT / n).is_file())


def is_script(name):
    return "." not in pathlib.Path(name).name and (ROOT / name).read_bytes()[:2] == b"#!"


TREE = tree()
C = [n for n in TREE if n.endswith((".c", ".h"))]


@pytest.mark.needs("clang-format")
def test_c_is_formatted():
    """.clang-format's rules; "clang-format -i FILE" follows them."""
    p = subprocess.run(["clang-format", "--dry-run", *C], cwd=ROOT, capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    assert sorted(set(re.findall(r"^(\S+?):\d+:\d+: warning", p.stderr, re.M))) == []


def test_no_line_is_too_long():
    checked = [n for n in TREE if n.endswith((".c", ".h", ".py", ".mjs", ".sh", "meson.build")) or is_script(n)]
    assert len(checked) > 300
    assert [f"{n}:{i}" for n in checked for i, line in enumerate((ROOT / n).read_text().splitlines(), 1)
            if len(line) > LINE] == []


def test_no_file_is_too_long():
    assert [n for n in C + [n for n in TREE if n.endswith(".py")]
            if len((ROOT / n).read_text().splitlines()) > FILE] == []


def functions(text):
    """(name, lines) of each. The formatter puts the braces of functions at the line's start."""
    start = None
    for number, line in enumerate(text.splitlines()):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield name, number - start + 1
            start = None
        elif start is None:
            m = re.match(r"(?:\w.*?)?\b(\w+)\(", line)
            if m and not line.startswith((" ", "#")):
                name = m.group(1)


def test_no_function_is_too_long():
    found = [(n, *f) for n in C if n.startswith(SOURCES) for f in functions((ROOT / n).read_text())]
    assert len(found) > 1500
    assert [f for f in found if f[2] > FUNCTION] == []


def test_scripts_are_clean():
    """No tabs, no blanks at the end of a line."""
    bad = [f"{n}:{i}" for n in TREE if n.endswith((".c", ".h", ".py", ".mjs", ".md", "meson.build")) or is_script(n)
           for i, line in enumerate((ROOT / n).read_text().splitlines(), 1) if line != line.rstrip() or "\t" in line]
    assert bad == []
