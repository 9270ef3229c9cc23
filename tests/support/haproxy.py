"""A real HAProxy, with the timeouts of its ingress controller."""

from collections.abc import Sequence
from pathlib import Path

from tests.support.servers import Server, find_binary, free_port, is_listening

_CONFIG = """
defaults
  mode http
  timeout connect 2s
  timeout client 50s
  timeout server 50s
  timeout tunnel 1h
  retries 3
  option redispatch 1
  option forwardfor
frontend chat
  bind 127.0.0.1:{port}
  default_backend replicas
backend replicas
  balance leastconn
{servers}
"""


class HaproxyServer(Server):
    """A load balancer: least connections over `upstreams` (ports of 127.0.0.1), which it takes for up at all times."""

    def __init__(self, folder: Path, upstreams: Sequence[int]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = folder / "haproxy.cfg"
        servers = "\n".join(f"  server node{number} 127.0.0.1:{port}" for number, port in enumerate(upstreams))
        config.write_text(_CONFIG.format(port=self.port, servers=servers))
        super().__init__([find_binary("haproxy", "/usr/sbin", "/usr/local/sbin"), "-db", "-f", str(config)], folder)

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        return is_listening(self.port)
