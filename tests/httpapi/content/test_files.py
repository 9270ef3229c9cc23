"""The files of a folder over HTTP: read and compressed once."""

import asyncio
import threading
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from httpapi.content import kept_files
from httpapi.content.files import Files


def client(folder: Path) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount("/f", Files(folder, "no-cache"))])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example")


async def test_kept_file_needs_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.js").write_text("text " * 500)
    async with client(tmp_path) as http:
        await http.get("/f/page.js")
        monkeypatch.setattr("anyio.to_thread.run_sync", None)
        for headers in ({}, {"Accept-Encoding": "identity"}):
            assert (await http.get("/f/page.js", headers=headers)).text == "text " * 500


async def test_herd_of_first_requests_compresses_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    compress = kept_files._gzip

    def note(content: bytes) -> bytes:
        threads.append(threading.get_ident())
        return compress(content)

    monkeypatch.setattr(kept_files, "_gzip", note)
    (tmp_path / "large.js").write_text("large " * 200_000)
    async with client(tmp_path) as http:
        responses = await asyncio.gather(*(http.get("/f/large.js") for _ in range(20)))
    assert {response.text for response in responses} == {"large " * 200_000}
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def test_removed_and_unknown_files_are_not_found(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("text")
    async with client(tmp_path) as http:
        assert (await http.get("/f/page.js")).status_code == 200
        (tmp_path / "page.js").unlink()
        for path in ("/f/page.js", "/f/other.js", "/f/%2e%2e/etc/passwd"):
            assert (await http.get(path)).status_code == 404
        assert (await http.post("/f/page.js")).status_code == 405
