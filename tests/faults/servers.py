"""The servers of the rig: nodes with crash points, an nginx that can reload, a Redis with its connections."""

import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path

from tests.faults.crash_points import CrashPoint
from tests.support.servers import Server, answers, find_binary, free_port, tethered

ROOT = Path(__file__).parents[2]


class RigNode(Server):
    """A gateway process: `tests.faults.node`. Restarted on its port, it is a new node to the others."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir()
        self.port = free_port()
        self._orders = folder / "orders"
        environ = {
            "APP_ENV": "development",
            "APP_HOST": "127.0.0.1",
            "APP_PORT": self.port,
            "LOG_FORMAT": "json",
            "PYTHONPATH": ROOT,
            "RIG_ORDERS": self._orders,
        }
        self._environ = environ | settings
        super().__init__(self._program(), folder)

    def _program(self, **more: object) -> list[str]:
        words = [f"{name}={value}" for name, value in (self._environ | more).items()]
        return ["/usr/bin/env", *words, sys.executable, "-m", "tests.faults.node"]

    def set_clock(self, offset_s: float) -> None:
        """From its next start on, its wall clock is so many seconds fast; its monotonic one is right."""
        clock = {"LD_PRELOAD": find_faketime(), "FAKETIME": f"{offset_s:+.0f}s", "FAKETIME_DONT_FAKE_MONOTONIC": 1}
        self._command = tethered(self._program(**(clock if offset_s else {})), None)

    def is_up(self) -> bool:
        """Whether it lives; it may be degraded, as others may be down."""
        return answers(self.port, b"GET /livez HTTP/1.1\r\nHost: rig\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")

    @property
    def log(self) -> str:
        """Everything that it has logged, over all its lives."""
        return (self.folder / "server.log").read_text(errors="replace")

    def order_crash(self, point: CrashPoint, number: int) -> None:
        """Make it kill itself at the `number`th passing of this point from now on."""
        self._orders.write_text(f"{point} {number}")
        os.kill(self.pid, signal.SIGUSR1)

    def switch_losses(self) -> None:
        """Begin or end losing every second publication (`LostPublications`)."""
        os.kill(self.pid, signal.SIGUSR2)

    def clock(self) -> float:
        """The time that it says it is, in seconds since 1970."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=5) as answer:
            return parsedate_to_datetime(answer.headers["Date"]).timestamp()

    def terminate(self) -> None:
        """SIGTERM; it drains and ends by itself."""
        os.kill(self.pid, signal.SIGTERM)


def find_faketime() -> Path | None:
    """The library that makes a process believe in another time, if it is installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class ReloadableNginx(Server):
    """nginx with a master, so that a reload is what it is in earnest: a new worker, while the old one finishes."""

    def __init__(self, folder: Path, upstreams: Sequence[int]) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        servers = " ".join(f"server 127.0.0.1:{port} fail_timeout=1s;" for port in upstreams)
        config = folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(_NGINX.format(folder=folder, port=self.port, servers=servers, user=user))
        binary = find_binary("nginx", "/usr/sbin", "/usr/local/sbin")
        # its master must not be killed outright when the rig dies: its workers would live on
        tether = [find_binary("setpriv"), "--pdeathsig", "INT", "--"]
        super().__init__(
            [*tether, binary, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)], folder
        )

    def is_up(self) -> bool:
        """Whether it takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def reload(self) -> None:
        """SIGHUP."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """SIGTERM, its fast shutdown: a kill −9 would leave the workers."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)


_NGINX = """
daemon off;
{user}
worker_processes 1;
worker_shutdown_timeout 2s;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream replicas {{ {servers} }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_connect_timeout 2s;
      proxy_next_upstream error timeout http_503;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 120s;
    }}
  }}
}}
"""
