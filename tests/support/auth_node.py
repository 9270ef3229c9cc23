"""`chat-gateway auth` as a separate process."""

from pathlib import Path

from tests.support.forked import ProgramServer
from tests.support.servers import answers, free_port


class AuthNode(ProgramServer):
    """Auth on its own port."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environ = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "AUTH_PORT": self.port} | settings
        super().__init__(["auth"], folder, environ)

    def is_up(self) -> bool:
        """Whether it responds."""
        return answers(self.port, b"GET /livez HTTP/1.1\r\nHost: auth\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")

    @property
    def log(self) -> str:
        """Its complete log."""
        return (self.folder / "server.log").read_text()
