"""What a source or a page cites is there: pages of docs/, their sections, and nothing outside the repository."""
import re

from test_style import ROOT, TREE

TEXTS = [n for n in TREE if n.endswith((".c", ".h", ".py", ".mjs", ".md", ".build", ".1", ".5")) or n in (
    "check", "quickstart", "tests/build", "tests/long", "tests/fuzz/run", "tests/fuzz/keep", ".ci/install")]
TEXTS.remove("tests/style/test_references.py")


def words(name):
    """A file's text with each line's end, and what begins a line of a comment, made one blank."""
    return re.sub(r"\s*\n[ \t]*(?:\*|#|//)?\s*", " ", (ROOT / name).read_text())


def sections(page):
    return set(re.findall(r"^#+ (\d+)\. ", (ROOT / page).read_text(), re.M))


def test_cited_pages_and_sections_exist():
    bad, cited = [], 0
    for name in TEXTS:
        for m in re.finditer(r"\b(docs/[\w-]+\.md)(?: sections? (\d+)(?: and (\d+))?)?", words(name)):
            cited += 1
            page, *numbers = m.groups()
            if not (ROOT / page).exists() or not {n for n in numbers if n} <= sections(page):
                bad.append((name, m.group()))
    assert bad == [] and cited > 40


def test_a_page_is_cited_by_its_path():
    """"The design" alone is nothing that a reader could open."""
    loose = re.compile(r"(?<!docs/)\bdesign(?:\.md)?,? (?:sections?|rule) \d|\bthe design (?:said|had|says|did)\b")
    found = [(name, m.group()) for name in TEXTS for m in loose.finditer(words(name))]
    assert found == []
