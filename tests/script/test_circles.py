"""Who needs whom, read from the objects: a file that needs a symbol of another needs that file. Files that need one
another in a circle cannot be understood, tested or linked one without the other. A table of functions is a need like a
call. Folders form no circle at all."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(harness.BINARY).resolve().parent

# What stays, with its reason.
KNOWN = {
    "the vault's registry names the handlers, and chores and backup run requests of their own through it": {
        "store/vault/backup.c", "store/vault/batch.c", "store/vault/chores.c", "store/vault/req_admin.c",
        "store/vault/req_mail.c", "store/vault/req_mailbox.c", "store/vault/req_upgrade.c",
        "store/vault/requests.c"},
}


def objects():
    """(source, object) of what the program is made of."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        source = (pathlib.Path(entry["directory"]) / entry["file"]).resolve().relative_to(ROOT).as_posix()
        if not source.startswith("tests/") and not entry["output"].startswith("tests/"):
            yield source, BUILD / entry["output"]


def needs():
    """Which sources each source needs."""
    of = {obj.as_posix(): source for source, obj in objects()}
    home, wanted = {}, {source: set() for source in of.values()}
    for line in subprocess.run(["nm", "--extern-only", "--print-file-name", *of], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        source = of[line.split(":")[0]]
        kind, name = line.split()[-2:]
        if kind in "Uw":
            wanted[source].add(name)
        else:
            home[name] = source
    return {source: {home[n] for n in names if n in home} - {source} for source, names in wanted.items()}


def circles(graph):
    """Strongly connected sets of more than one node."""
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for n in graph[todo.pop()] - seen:
                seen.add(n)
                todo.append(n)
        return seen

    reached = {n: reach(n) for n in graph}
    return {frozenset(m for m in reached[n] if n in reached[m]) for n in graph if n in reached[n]}


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(graph) == {frozenset("bc")}


def test_files_need_one_another_in_no_circle():
    graph = needs()
    assert len(graph) > 150 and graph["server/core/error.c"] == set() and graph["server/cli/main.c"]
    found = circles(graph)
    assert [sorted(c) for c in found if not any(c <= known for known in KNOWN.values())] == []
    assert [why for why, known in KNOWN.items() if not any(c <= known for c in found)] == [], "it is gone: take it out"


def test_folders_need_one_another_in_no_circle():
    def folder(source):
        return source.rsplit("/", 1)[0]

    graph = {}
    for source, others in needs().items():
        graph.setdefault(folder(source), set()).update({folder(o) for o in others} - {folder(source)})
    assert circles(graph) == set()
