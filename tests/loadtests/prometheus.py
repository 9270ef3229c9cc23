"""A real Prometheus that scrapes some nodes, and its graphs."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import httpx

from tests.servers import Server, find_binary, free_port

SCRAPE_INTERVAL_S = 1

_CONFIG = """
global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}
scrape_configs:
  - job_name: chat-gateway
    static_configs:
      - targets: [{targets}]
"""


class PrometheusServer(Server):
    """Scrapes the given ports of 127.0.0.1 for as long as it runs."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = folder / "prometheus.yml"
        targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        config.write_text(_CONFIG.format(interval=SCRAPE_INTERVAL_S, targets=targets))
        options = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        options += [f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"]
        super().__init__([find_binary("prometheus"), *options], folder)

    def is_up(self) -> bool:
        """Whether it is ready."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def value(self, expression: str) -> float:
        """What an instant query says of one series; 0.0 if there is none."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).raise_for_status()
        found = answer.json()["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def graphs(self, expressions: Sequence[str], minutes: int) -> str:
        """The address of a page with a graph of each over the last minutes."""
        words: dict[str, str] = {}
        for number, expression in enumerate(expressions):
            words |= {f"g{number}.expr": expression, f"g{number}.tab": "0", f"g{number}.range_input": f"{minutes}m"}
        return f"{self.url}/graph?{urlencode(words)}"
