"""The site of these pages, built by `scripts/site`.

The root of its sources is the repository, so that a link of a page works both in the forge and on the site.
"""

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
INDEX = "docs/README"

project = "chat-gateway"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
html_title = f"{project} {release}"
extensions = ["myst_parser"]
root_doc = INDEX
include_patterns = ["*.md", "docs/**.md", "**/README.md"]
exclude_patterns = ["build", "tests", "**/node_modules", ".*"]
myst_heading_anchors = 6  # those that the forge gives to headings
smartquotes = False
suppress_warnings = ["misc.highlighting_failure"]  # a "…" in an example; tests/guide parses the snippets
html_theme = "furo"
html_copy_source = False
html_use_index = False
# Excerpts of results are fetched, which a browser does not allow a page from a file.
_NO_EXCERPTS = "if (location.protocol === 'file:') DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"
html_js_files = [(None, {"body": _NO_EXCERPTS})]
html_show_copyright = False
html_show_sphinx = False

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| \[([^]]+)\]\(([^)]+)\.md\)", re.MULTILINE)


def _add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Take the side bar from the tables of the index; runbooks are listed below the operator's page."""
    if page == INDEX:
        _, *sections = _SECTION.split(source[0])
        for title, text in zip(sections[::2], sections[1::2], strict=True):
            source[0] += _toctree(f":caption: {title}", *(_entry(*row) for row in _ROW.findall(text)))
    if page == "docs/operations":
        source[0] += _toctree(":glob:", "runbooks/*")


def _entry(text: str, page: str) -> str:
    """A page with the title that the table gives it, or its own where the table has the name of its file."""
    return page if text.endswith(".md") else f"{text} <{page}>"


def _toctree(option: str, *pages: str) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", option, "", *pages, "```\n"])


def _add_front_page(app: Sphinx, _: Exception | None) -> None:
    """A browser that opens the folder gets the index."""
    page = f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={INDEX}.html">\n'
    (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _add_front_page)
