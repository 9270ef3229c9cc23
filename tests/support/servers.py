"""Real servers for tests, on free ports of 127.0.0.1, in temporary directories.

Each of them ends with the test process, even if that is killed, by `setpriv --pdeathsig` where it is available.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

from gateway.up.ports import free_port as free_port

START_TIMEOUT_S = 90.0
"""A timeout that only ends a hang: long enough for a slow and busy machine."""


class ServerFailed(Exception):
    """A server did not come up; the message has its log."""


def find_binary(name: str, *folders: str) -> str:
    """The path of a program, in one of `folders` (glob patterns; the last in sorting order first) or on PATH."""
    candidates = [
        str(path) for pattern in folders for path in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    ]
    for folder in [*candidates, None]:
        if (found := shutil.which(name, path=folder)) is not None:
            return found
    raise ServerFailed(f"{name} is not installed: scripts/test installs what the tests need")


class Process(Protocol):
    """What a server needs of a subprocess.Popen."""

    pid: int
    returncode: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Server:
    """A child process that ends with this one, and the check that it is up."""

    def __init__(self, command: Sequence[str], folder: Path, *, user: str | None = None) -> None:
        self._command = tethered(command, user)
        self.folder = folder
        self._log = folder / "server.log"
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "not started"
        return self._process.pid

    def is_up(self) -> bool:
        """Whether it serves."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._process = self._spawn()
        try:
            wait_until(lambda: self._process_is_alive() and self.is_up(), f"{self._command} is up")
        except BaseException:
            self.kill()
            raise

    def _spawn(self) -> Process:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, cwd=self.folder, stdout=log, stderr=log)

    def _process_is_alive(self) -> bool:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            log = self._log.read_text(errors="replace")
            raise ServerFailed(f"{self._command} ended with {status}\n{log}")
        return True

    def kill(self) -> None:
        """kill −9, also while paused; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """SIGTERM: it ends in its own time."""
        assert self._process is not None, "not started"
        self._process.terminate()

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        """Its exit code, or minus the signal that ended it. Raises: subprocess.TimeoutExpired."""
        assert self._process is not None, "not started"
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """Stop it finally."""
        self.kill()

    def __enter__(self) -> Self:
        """Start it; it ends with the block."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def restart(self) -> None:
        """Kill it and start it again, on the same port; returns when it serves."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open without responses."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)


class RedisServer(Server):
    """An empty Redis without persistence: a restart loses everything."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        binary = find_binary("redis-server") if shutil.which("redis-server") else find_binary("valkey-server")
        where = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder))
        super().__init__([binary, *where, "--save", "", "--appendonly", "no", *options], folder)

    def is_up(self) -> bool:
        """Whether it responds to a PING."""
        return answers(self.port, b"PING\r\n", b"+PONG")


class PostgresServer(Server):
    """A PostgreSQL cluster with `postgres` as superuser and no password.

    fsync is on, as in production, unless `settings` disable it: without it only a crash of the machine loses data.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.port = free_port()
        self._bin = Path(find_binary("initdb", "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")).parent
        self._databases = 0
        self._cluster = folder / "cluster"
        user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
        if user is not None:
            shutil.chown(folder, user)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 300,
        } | settings
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        super().__init__([str(self._bin / "postgres"), "-D", str(self._cluster), *words], folder, user=user)
        self._make(tethered(self._making(), user))

    def _making(self) -> list[str]:
        """The command that creates the cluster."""
        initdb = [str(self._bin / "initdb"), "-D", str(self._cluster), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        return [*initdb, "--no-locale", "--no-sync"]

    def _make(self, command: Sequence[str]) -> None:
        made = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if made.returncode != 0:
            raise ServerFailed(f"{command} failed\n{made.stdout}{made.stderr}")

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        return subprocess.run(command).returncode == 0

    def create_database(self) -> str:
        """A fresh database; returns its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop a database of `create_database`, even with open connections."""
        self.query("postgres", f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def query(self, database: str, sql: str) -> str:
        """Run one statement by psql; returns the bare rows."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database)
        command = [str(self._bin / "psql"), *where, "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)
        if answer.returncode != 0:
            raise ServerFailed(answer.stderr)
        return answer.stdout.strip()

    def kill(self) -> None:
        """SIGQUIT, PostgreSQL's "immediate" shutdown: as after a crash, without waiting for clients.

        A real kill −9 of the postmaster would leak its shared memory.
        """
        if self._process is not None and self._process.poll() is None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        super().kill()

    def pause(self) -> None:
        """SIGSTOP the postmaster and every backend."""
        for pid in [self.pid, *_children(self.pid)]:
            with suppress(ProcessLookupError):  # a backend that has ended meanwhile
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT all of them."""
        for pid in [*_children(self.pid), self.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class PostgresStandby(PostgresServer):
    """A copy of another cluster, made by `pg_basebackup`, that follows it asynchronously until it is promoted."""

    def __init__(self, folder: Path, primary_port: int) -> None:
        self._primary_port = primary_port
        super().__init__(folder)

    def _making(self) -> list[str]:
        where = ("-h", "127.0.0.1", "-p", str(self._primary_port), "-U", "postgres")
        return [str(self._bin / "pg_basebackup"), *where, "-D", str(self._cluster), "-R", "-c", "fast", "--no-sync"]

    def succeed(self, port: int) -> None:
        """Promote it to its own timeline and serve on the port of the primary, which is stopped."""
        self.query("postgres", "SELECT pg_promote()")
        self._command = [word.replace(f"port={self.port}", f"port={port}") for word in self._command]
        self.port = port
        self.restart()


class NginxServer(Server):
    """A load balancer: round robin over `upstreams` (ports of 127.0.0.1), including WebSockets.

    `location` is the content of the server block, in which `replicas` is the upstream.
    """

    def __init__(self, folder: Path, upstreams: Sequence[int], location: str | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._location = location or f"location / {{ proxy_pass http://replicas; {NGINX_WEB_SOCKETS} }}"
        self._config = folder / "nginx.conf"
        binary = find_binary("nginx", "/usr/sbin", "/usr/local/sbin")
        super().__init__([binary, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(self._config)], folder)
        self.configure(upstreams)

    def configure(self, upstreams: Sequence[int]) -> None:
        """Write the configuration; call it before `start` if the upstreams need the URL of this server."""
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in upstreams)
        pid = self.folder / "nginx.pid"
        words = {"folder": self.folder, "port": self.port, "servers": servers, "pid": pid, "location": self._location}
        self._config.write_text(_NGINX.format(**words))

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        return is_listening(self.port)


NGINX_WEB_SOCKETS = """
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 120s;
"""

_NGINX = """
daemon off;
master_process off;
pid {pid};
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream replicas {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    {location}
  }}
}}
"""


def temporary_folder() -> Path:
    """A folder that the user of PostgreSQL can access, unlike those of pytest."""
    return Path(tempfile.mkdtemp(prefix="chat-gateway-test-"))


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S, *, every_s: float = 0.01
) -> None:
    """Poll until a condition of another process holds.

    Raises: TimeoutError, with `what` in its message.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s in vain until {what}")
        time.sleep(every_s)


def tethered(command: Sequence[str], user: str | None = None) -> list[str]:
    """`command`, run as `user` if one is given, and killed by the kernel when this process ends."""
    if (setpriv := shutil.which("setpriv")) is None:
        return list(command)
    options = ["--pdeathsig", "INT"] if user else ["--pdeathsig", "KILL"]
    if user is not None:
        account = pwd.getpwnam(user)
        options += ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
    return [setpriv, *options, "--", *command]


def is_listening(port: int) -> bool:
    """Whether a port of 127.0.0.1 accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(port: int, question: bytes, expected: bytes) -> bool:
    """Whether the server on a port of 127.0.0.1 responds to the request with this prefix."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.sendall(question)
            return link.recv(64).startswith(expected)
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
