"""The files of the pages: compressed, with the time for which caches keep them."""

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from gateway.config.settings import CLIENT_FOLDER, PAGE_FOLDER
from gateway.http.pages import client_routes, page_routes
from httpapi.content import kept_files

FILES = {
    "/": (PAGE_FOLDER / "index.html", "no-cache"),
    "/console": (PAGE_FOLDER / "console/index.html", "no-cache"),
    "/static/page.js": (PAGE_FOLDER / "page.js", "no-cache"),
    "/console/console/console.js": (PAGE_FOLDER / "console/console.js", "no-cache"),
    "/static/client/current/src/client.js": (CLIENT_FOLDER / "src/client.js", "no-cache"),
    "/static/client/1.2.3/src/client.js": (CLIENT_FOLDER / "src/client.js", "public, max-age=31536000, immutable"),
}


def client(**headers: str) -> httpx.AsyncClient:
    app = Starlette(routes=[*client_routes("1.2.3"), *page_routes(PAGE_FOLDER, [])])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example", headers=headers)


@pytest.mark.parametrize("url", FILES)
async def test_file_is_compressed_and_kept_as_long_as_it_holds(url: str) -> None:
    file, cache_control = FILES[url]
    for accepted in ("gzip", "identity"):
        async with client(**{"Accept-Encoding": accepted}) as http:
            response = await http.get(url)
        assert response.content == file.read_bytes()
        assert response.headers["cache-control"] == cache_control
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers.get("content-encoding") == ("gzip" if accepted == "gzip" else None)


@pytest.mark.parametrize("url", ["/", "/static/page.js"])
async def test_file_is_compressed_once_until_it_changes(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[bytes] = []
    compress = kept_files._gzip

    def note(content: bytes) -> bytes:
        compressed.append(content)
        return compress(content)

    monkeypatch.setattr(kept_files, "_gzip", note)
    file = tmp_path / Path(url).name if url != "/" else tmp_path / "index.html"
    app = Starlette(routes=[*page_routes(tmp_path, [])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http:
        for text in ("first " * 500, "second " * 500):
            file.write_text(text)
            for _ in range(3):
                response = await http.get(url, headers={"Accept-Encoding": "gzip"})
                assert (response.text, response.headers["content-encoding"]) == (text, "gzip")
    assert len(compressed) == 2


async def test_part_of_a_file_and_a_large_one_are_sent_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "small.js").write_text("part " * 500)
    (tmp_path / "large.js").write_text("x" * (kept_files.MAX_BYTES + 1))
    app = Starlette(routes=[*page_routes(tmp_path, [])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http:
        part = await http.get("/static/small.js", headers={"Range": "bytes=0-3"})
        large = await http.get("/static/large.js")
    assert (part.status_code, part.text) == (206, "part")
    assert len(large.content) == kept_files.MAX_BYTES + 1
    for response in (part, large):
        assert "content-encoding" not in response.headers
        assert response.headers["vary"] == "Accept-Encoding"


async def test_unchanged_file_is_not_sent_again() -> None:
    async with client() as http:
        first = await http.get("/static/page.js")
        second = await http.get("/static/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["cache-control"] == "no-cache"


async def test_page_of_an_operator_is_served_in_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("their own")
    app = Starlette(routes=[*page_routes(tmp_path, ["https:"])])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http:
        assert (await http.get("/")).text == "their own"
        assert (await http.get("/static/page.js")).status_code == 404
        assert "Console" in (await http.get("/console")).text
