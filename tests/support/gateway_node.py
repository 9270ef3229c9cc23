"""A gateway as a process. The benchmarks use it too, without the clients of the tests."""

from pathlib import Path
from typing import ClassVar

from tests.support.forked import ProgramServer
from tests.support.servers import answers, free_port


class GatewayNode(ProgramServer):
    """`chat-gateway gateway` on its own port."""

    arguments: ClassVar[tuple[str, ...]] = ("gateway",)

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environ = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "APP_PORT": self.port, "DRAIN_DELAY_S": 0}
        super().__init__(self.arguments, folder, environ | settings)

    def is_up(self) -> bool:
        """Whether it is ready."""
        return answers(self.port, b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")

    @property
    def log(self) -> str:
        """Its complete log."""
        return (self.folder / "server.log").read_text()

    def ws_url(self, path: str, **query: object) -> str:
        """A WebSocket URL."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"ws://127.0.0.1:{self.port}{path}" + (f"?{words}" if words else "")

    def chat_url(self, chat_id: int, **query: object) -> str:
        """The WebSocket URL of a chat."""
        return self.ws_url(f"/ws/chat/{chat_id}/", **query)
