"""A real Prometheus that scrapes processes: its queries, alerts and graphs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.support.servers import Server, find_binary, free_port

_CONFIG = """
global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms, evaluation_interval: {interval}ms}}
rule_files: [{rules}]
scrape_configs:
  - job_name: chat-gateway
    static_configs:
      - targets: [{targets}]
"""


class PrometheusServer(Server):
    """Scrapes the given ports of 127.0.0.1 for as long as it runs, and evaluates these files of rules."""

    def __init__(self, folder: Path, ports: Sequence[int], rules: Sequence[Path] = (), interval_s: float = 1) -> None:
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = folder / "prometheus.yml"
        targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        files = ", ".join(f'"{path}"' for path in rules)
        config.write_text(_CONFIG.format(interval=round(1000 * interval_s), targets=targets, rules=files))
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
        found = self.series(expression)
        return float(found[0]["value"][1]) if found else 0.0

    def series(self, expression: str) -> list[dict[str, Any]]:
        """What an instant query says: each series with its `metric` (the labels) and its `value`."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def firing(self) -> set[tuple[str, str, str]]:
        """The alerts that fire now: name, severity, and the instance, if it is one's own ("" else)."""
        found = httpx.get(f"{self.url}/api/v1/alerts").raise_for_status().json()["data"]["alerts"]
        return {
            (each["labels"]["alertname"], each["labels"]["severity"], each["labels"].get("instance", ""))
            for each in found
            if each["state"] == "firing"
        }

    def graphs(self, expressions: Sequence[str], minutes: int) -> str:
        """The address of a page with a graph of each over the last minutes."""
        words: dict[str, str] = {}
        for number, expression in enumerate(expressions):
            words |= {f"g{number}.expr": expression, f"g{number}.tab": "0", f"g{number}.range_input": f"{minutes}m"}
        return f"{self.url}/graph?{urlencode(words)}"
