"""The whole system, as a user has it: `chat-gateway up` with two replicas, and a load balancer in front of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import NginxServer
from tests.up.run import Up


@dataclass(frozen=True)
class System:
    """A running system. `url` is the balancer's, `replica_urls` are the replicas' own."""

    url: str
    replica_urls: tuple[str, ...]


@contextmanager
def run_system(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[System]:
    """Ready when this is entered, gone when it is left. `environ` are settings of its own."""
    for name in ("up", "nginx"):
        (folder / name).mkdir()
    up = Up(folder / "up", program=("-m", "gateway.cli"), environ=environ)
    try:
        up.start()
        balancer = NginxServer(folder / "nginx", up.own_ports())
        try:
            balancer.start()
            yield System(balancer.url, tuple(f"http://127.0.0.1:{port}" for port in up.own_ports()))
        finally:
            balancer.stop()
        assert up.end() == 0, up.output()
        assert "Traceback" not in up.output(), up.output()
    finally:
        up.stop()
