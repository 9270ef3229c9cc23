"""The pages name every module that they need, so that a browser loads all at once."""

import posixpath
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"/static/client/current/": ROOT / "clients/js", "/static/": ROOT / "web", "/console/": ROOT / "web"}
"""What a gateway serves there; the first that fits."""
IMPORT = re.compile(r"""(?:^import|^export|^\})[^;"]*?\bfrom "(\.[^"]+)";|^import "(\.[^"]+)";""", re.MULTILINE)


def file_of(url: str) -> Path:
    prefix = next(prefix for prefix in FOLDERS if url.startswith(prefix))
    return FOLDERS[prefix] / posixpath.relpath(url, prefix)


def modules(url: str) -> set[str]:
    """The URLs of a module and of all that it imports."""
    found: set[str] = set()
    waiting = [url]
    while waiting:
        url = waiting.pop()
        if url in found:
            continue
        found.add(url)
        waiting += [urljoin(url, one or other) for one, other in IMPORT.findall(file_of(url).read_text())]
    return found


@pytest.mark.parametrize(("page", "file"), [("/", "web/index.html"), ("/console", "web/console/index.html")])
def test_page_preloads_every_module_once(page: str, file: str) -> None:
    html = (ROOT / file).read_text()
    (script,) = re.findall(r'<script type="module" src="([^"]+)"', html)
    preloaded = [urljoin(page, href) for href in re.findall(r'<link rel="modulepreload" href="([^"]+)">', html)]
    assert sorted(preloaded) == sorted(modules(urljoin(page, script)) - {urljoin(page, script)})
