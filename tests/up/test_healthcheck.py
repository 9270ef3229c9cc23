"""`chat-gateway healthcheck`, as a container's HEALTHCHECK runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.cli import main
from gateway.up.ports import free_port
from tests.support.cluster import run_cluster


@contextmanager
def _answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _healthcheck(monkeypatch: pytest.MonkeyPatch, port: int) -> int:
    monkeypatch.setenv("APP_ENV", "development")
    monkeypatch.setenv("APP_PORT", str(port))
    return main(["healthcheck"])


async def test_ready_gateway_is_healthy(
    tmp_path: Path, redis_url: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        assert _healthcheck(monkeypatch, cluster.nodes[0].port) == 0


def test_draining_gateway_is_unhealthy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with _answering(503, b'{"status":"draining"}') as port:
        assert _healthcheck(monkeypatch, port) == 1
    assert capsys.readouterr().err == f"chat-gateway: /readyz on port {port} says 503 draining.\n"


def test_response_without_report_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    with _answering(500, b"Oh no") as port:
        assert _healthcheck(monkeypatch, port) == 1


def test_unreachable_gateway_gives_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    assert _healthcheck(monkeypatch, port) == 1
    assert capsys.readouterr().err == f"chat-gateway: Nothing answers on port {port}: ConnectionRefusedError.\n"
