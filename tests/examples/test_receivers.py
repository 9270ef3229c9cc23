"""The example receivers, which the gateway's own poster calls."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from httpapi.outgoing.signed_post import SIGNATURE, signature
from tests.support.servers import answers, find_binary, free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "a secret of this test"
COMMANDS = {
    "receiver.py": [sys.executable, str(EXAMPLES / "receiver.py")],
    "receiver.mjs": [find_binary("node"), str(EXAMPLES / "receiver.mjs")],
}


@contextmanager
def running(name: str, log: Path) -> Iterator[str]:
    """The URL of a running receiver."""
    port = free_port()
    errors = log.with_suffix(".errors")  # apart: threads of the receiver would write into each other's lines
    with log.open("w") as output, errors.open("w") as error_output:
        command = [*COMMANDS[name], str(port)]
        process = subprocess.Popen(
            command, env=os.environ | {"CHAT_SECRET": SECRET}, stdout=output, stderr=error_output
        )
        try:
            deadline = time.monotonic() + 20
            while not answers(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1."):
                assert time.monotonic() < deadline, errors.read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()


def post(url: str, body: bytes, *, secret: str = SECRET, at: float | None = None) -> int:
    header = signature(secret, int(time.time() if at is None else at), body)
    return httpx.post(url, content=body, headers={SIGNATURE: header}).status_code


@pytest.mark.parametrize("name", COMMANDS)
def test_receiver_takes_signed_events_once(name: str, tmp_path: Path) -> None:
    events = [{"id": f"e:1:{seq}", "type": "message.created", "data": {"text": f"text {seq}"}} for seq in (1, 2)]
    body = json.dumps({"events": events}).encode()
    log = tmp_path / "output"
    with running(name, log) as url:
        assert httpx.post(url, content=body).status_code == 401
        assert post(url, body, secret="another") == 401
        assert post(url, body, at=time.time() - 3600) == 401
        assert post(url, body) == 204
        assert post(url, body) == 204
    lines = [line for line in log.read_text().splitlines() if line.startswith("message.created")]
    assert lines == ["message.created e:1:1 text 1", "message.created e:1:2 text 2"]
