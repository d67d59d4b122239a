"""./quickstart, ./check and tests/long share a build folder: in whatever order they come, each finds what it needs."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path):
    """The tree without anything built."""
    made = shutil.ignore_patterns("build*", "instance", ".git", "__pycache__")
    (tmp_path / "tree").mkdir()
    for path in ROOT.iterdir():
        if path.name in made(str(ROOT), [path.name]):
            continue
        to = tmp_path / "tree" / path.name
        if path.is_dir():
            shutil.copytree(path, to, symlinks=True, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
        else:
            shutil.copy2(path, to)
    return tmp_path / "tree"


def sh(copy, command):
    p = subprocess.run(["sh", "-c", command], cwd=copy, capture_output=True, text=True, timeout=300)
    assert p.returncode == 0, p.stdout + p.stderr
    return p.stdout


def targets(copy, folder):
    return set(re.findall(r"^(\S+): ", sh(copy, f"ninja -C {folder} -t targets all"), re.M))


def tools():
    """What the scripts run besides letterlock, from the folder that it is in."""
    said = "\n".join(p.read_text() for p in (ROOT / "tests").glob("*/*.py"))
    tools = re.findall(r'\btests/(?:unit|interop)/\w+(?=")', said)
    return {"letterlock", *(t for t in tools if t.endswith(("_tool", "judge", "_writer", "_reader", "_put")))}


def test_check_and_long_after_quickstart(copy):
    as_quickstart = re.search(r"meson setup build \S+", (copy / "quickstart").read_text()).group()
    sh(copy, as_quickstart)
    assert len(tools()) > 3 and targets(copy, "build") & tools() == {"letterlock"}
    for program in ("check", "tests/long"):
        assert re.search(r"tests/build build |build \"as released\" build", (copy / program).read_text()), program
    sh(copy, "tests/build --setup build")
    assert tools() <= targets(copy, "build")
    # And what ./check builds before the scripts.
    assert tools() <= set(sh(copy, "ninja -C build -t query for-scripts").split())
    before = (copy / "build/build.ninja").stat().st_mtime_ns
    sh(copy, "tests/build --setup build")
    assert (copy / "build/build.ninja").stat().st_mtime_ns == before, "set up anew without need"
    sh(copy, "ninja -C build -n letterlock")  # what quickstart builds, whoever set the folder up


def test_a_folder_without_sanitizers_is_given_them(copy):
    sh(copy, "meson setup build-check")
    sh(copy, "tests/build --setup build-check")
    assert "-fsanitize=address,undefined" in (copy / "build-check/build.ninja").read_text()
