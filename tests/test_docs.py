"""The documentation: every page is reachable from the README, and no link is dead."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^()\s]+)\)")
CITATION = re.compile(r"[\w/.-]+\.md\b")
CITED_SECTION = re.compile(r'(docs/[\w/-]+\.md), "([^"]+)"')
CODE = re.compile(r"`[^`]*`")
HEADING = re.compile(r"#{1,6} (.+)")
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def _files(*patterns: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    return [path for path in (ROOT / name for name in names) if path.is_file()]


PAGES = _files("*.md")
DOCS = [path for path in PAGES if path.is_relative_to(ROOT / "docs") and path.name != "README.md"]
RUNBOOKS = [path for path in DOCS if path.parent.name == "runbooks"]


@cache
def _prose(page: Path) -> list[str]:
    """The page's lines outside fenced code blocks."""
    fences = page.read_text(encoding="utf-8").split("\n```")
    return [line for outside in fences[::2] for line in outside.splitlines()]


@cache
def _links(page: Path) -> list[str]:
    """The page's links, without those to other sites."""
    targets = [target for line in _prose(page) for target in LINK.findall(CODE.sub("", line))]
    return [target for target in targets if "://" not in target and not target.startswith("mailto:")]


@cache
def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the page's headings."""
    anchors: set[str] = set()
    for heading in filter(None, map(HEADING.fullmatch, _prose(page))):
        bare = anchor = NOT_IN_ANCHORS.sub("", heading[1].lower()).replace(" ", "-")
        number = 0
        while anchor in anchors:
            number += 1
            anchor = f"{bare}-{number}"
        anchors.add(anchor)
    return anchors


def _target(page: Path, link: str) -> Path:
    return (page.parent / link.partition("#")[0]).resolve() if not link.startswith("#") else page


def _is_dead(page: Path, link: str) -> bool:
    target, anchor = _target(page, link), link.partition("#")[2]
    if not target.is_relative_to(ROOT) or not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in _anchors(target)


def _linked_from(page: str) -> set[Path]:
    return {_target(ROOT / page, link) for link in _links(ROOT / page)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_has_no_dead_link(page: Path) -> None:
    assert [link for link in _links(page) if _is_dead(page, link)] == []


def test_cited_pages_exist() -> None:
    names = {page.name for page in PAGES} | {"report.md"}  # that of a run of tests/faults
    cited = {
        (citation, path.relative_to(ROOT).as_posix())
        for path in _files("*.py", "*.js", "*.yml", "*.yaml", "*.toml", "scripts/*")
        if path != Path(__file__)
        for citation in CITATION.findall(path.read_text(encoding="utf-8"))
    }
    assert len(cited) > 30
    assert {(page, path) for page, path in cited if Path(page).name not in names} == set()
    assert {(page, path) for page, path in cited if page.startswith("docs/") and not (ROOT / page).exists()} == set()


def test_cited_sections_exist() -> None:
    cited = {
        (page, section)
        for path in _files("*.py")
        if path != Path(__file__)
        for page, section in CITED_SECTION.findall(path.read_text(encoding="utf-8"))
    }
    assert cited
    assert {(page, section) for page, section in cited if f"## {section}" not in _prose(ROOT / page)} == set()


@pytest.mark.parametrize("page", ["README.md", "docs/README.md"])
def test_index_links_every_page_of_the_docs(page: str) -> None:
    pages = set(DOCS) - set(RUNBOOKS)
    assert {str(path.relative_to(ROOT)) for path in pages - _linked_from(page)} == set()


def test_index_has_a_row_for_every_page_of_the_site() -> None:
    # docs/conf.py takes the side bar from the first link of each row; runbooks are below operations.md.
    index = ROOT / "docs/README.md"
    rows = re.findall(r"(?m)^\| \[[^]]+\]\(([^)#]+)\)", index.read_text(encoding="utf-8"))
    pages = {page for page in PAGES if page.parent in (ROOT, ROOT / "docs") or page.name == "README.md" or page in DOCS}
    shown = {_target(index, row) for row in rows}
    assert {str(page.relative_to(ROOT)) for page in pages - set(RUNBOOKS) - {index} - shown} == set()


def test_operations_links_every_runbook() -> None:
    assert len(RUNBOOKS) > 20
    assert set(RUNBOOKS) - _linked_from("docs/operations.md") == set()


def test_readme_links_the_index_and_shows_the_page() -> None:
    assert {ROOT / "docs/README.md", ROOT / "docs/images/page.png"} <= _linked_from("README.md")


def test_dead_links_are_found(tmp_path: Path) -> None:
    page = ROOT / "docs/delivery.md"
    assert _is_dead(page, "nowhere.md")
    assert _is_dead(page, "operations.md#nowhere")
    assert _is_dead(page, "../../outside.md")
    assert not _is_dead(page, "operations.md#what-to-watch")
    page = tmp_path / "page.md"
    page.write_text("# A `b_c`: d, e\n[x](y)\n# A\n## A\n```\n# no\n[a](b)\n```\n`[c](d)`\n")
    assert _anchors(page) == {"a-b_c-d-e", "a", "a-1"}
    assert _links(page) == ["y"]
