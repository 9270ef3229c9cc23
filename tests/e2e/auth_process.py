"""`chat-gateway auth` as a separate process."""

from contextlib import suppress
from pathlib import Path

import httpx

from tests.support.forked import ProgramServer
from tests.support.servers import free_port


class AuthProcess(ProgramServer):
    """`chat-gateway auth`, and its metrics at a port of their own."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir()
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environ = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "AUTH_PORT": self.port}
        environ |= {"METRICS_PORT": self.metrics_port} | settings
        super().__init__(["auth"], folder, environ)

    def is_up(self) -> bool:
        """Whether it lives."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/livez", timeout=2).status_code == 200
        return False
