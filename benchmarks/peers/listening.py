"""Parts of the peers: servers that are ready when their port accepts connections, their Redis, and publishers."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import RedisServer, Server, free_port


def listens(port: int) -> bool:
    """Whether the port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ListeningServer(Server):
    """A program that is ready when its port accepts connections."""

    def __init__(self, command: Sequence[str], folder: Path, port: int) -> None:
        super().__init__(command, folder)
        self.port = port

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        return listens(self.port)


def own_redis(folder: Path) -> RedisServer:
    """A Redis for this peer only, not started yet."""
    (folder / "redis").mkdir()
    return RedisServer(folder / "redis")


def with_redis(redis: RedisServer) -> list[str]:
    """The prefix of the command of a Python peer: the environment with the URL of Redis and the path of our modules."""
    return ["/usr/bin/env", f"REDIS_URL={redis.url}", f"PYTHONPATH={Path(__file__).parents[2]}"]


def uvicorn_server(app: str, folder: Path, redis: RedisServer, *options: str) -> ListeningServer:
    """uvicorn with its fastest settings, not started yet."""
    port = free_port()
    command = [*with_redis(redis), sys.executable, "-m", "uvicorn", app, "--port", str(port)]
    command += ["--ws", "websockets-sansio", "--log-level", "warning", "--ws-per-message-deflate", "false"]
    command += ["--ws-ping-interval", "600"]  # a burst may keep it busy beyond its pong timeout
    return ListeningServer([*command, *options], folder, port)


class PipelinedPosts:
    """Publishes over one HTTP connection with pipelining: it does not await each response."""

    def __init__(self, port: int, path: str, body: str, *headers: str) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(body)}", "", body]
        self._request = "\r\n".join(lines).encode()

    def publish(self, count: int) -> None:
        """Send this number of POSTs."""
        self._connection.sendall(self._request * count)
        answers = b""
        while answers.count(b"HTTP/1.1 ") < count:
            answers += self._connection.recv(65536)


class Publisher:
    """Another process that publishes the number of messages of each line of its input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def publish(self, count: int) -> None:
        """Make it publish; returns at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()


@contextmanager
def publishing(command: Sequence[str]) -> Iterator[Publisher]:
    """The running process."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        try:
            yield Publisher(process)
        finally:
            process.kill()
