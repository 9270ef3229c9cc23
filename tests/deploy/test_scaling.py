"""The metric of the autoscaler: the rule for prometheus-adapter in docs/deploy.md on a real Prometheus."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.programs import ROOT, charted, kustomized, one
from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import Server, find_binary, free_port, wait_until

NAMESPACE = "chat"


def _rule() -> dict[str, Any]:
    (block,) = re.findall(r"```yaml\n(rules:\n.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    (rule,) = yaml.safe_load(block)["rules"]
    found: dict[str, Any] = rule
    return found


class ScrapingPods(Server):
    """A Prometheus that gives each node the labels that a ServiceMonitor gives its pod."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        folder.mkdir()
        self.url = f"127.0.0.1:{free_port()}"
        targets = [
            {"targets": [f"127.0.0.1:{node.port}"], "labels": {"namespace": NAMESPACE, "pod": f"gateway-{number}"}}
            for number, node in enumerate(cluster.nodes)
        ]
        job = {"job_name": "gateways", "scrape_interval": "200ms", "scrape_timeout": "200ms", "static_configs": targets}
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
        super().__init__([find_binary("prometheus"), *options, f"--web.listen-address={self.url}"], folder)

    def is_up(self) -> bool:
        """Whether it answers queries."""
        try:
            return httpx.get(f"http://{self.url}/-/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def by_pod(self, query: str) -> dict[str, float]:
        """The answer, as the adapter hands it on: one value a pod."""
        answer = httpx.get(f"http://{self.url}/api/v1/query", params={"query": query}).raise_for_status()
        series = answer.json()["data"]["result"]
        assert all(set(each["metric"]) == {"pod"} for each in series), series
        return {each["metric"]["pod"]: float(each["value"][1]) for each in series}


@pytest.mark.parametrize("scaler", ["k8s/base", "chart"])
def test_autoscaler_uses_metric_name_of_adapter_rule(scaler: str) -> None:
    built, name = (charted(), "demo-chat-gateway") if scaler == "chart" else (kustomized(scaler), "chat-gateway")
    pods = one(built, "HorizontalPodAutoscaler", name)["spec"]["metrics"][0]["pods"]
    assert pods["metric"]["name"] == _rule()["name"]["as"]
    assert pods["target"] == {"type": "AverageValue", "averageValue": "5000"}


async def test_adapter_rule_sums_pod_connections_over_dialects(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path / "nodes", redis_url, sqlite_url, nodes=2) as cluster:
        ann, bob = await cluster.user(), await cluster.user()
        chat = await cluster.chat(ann, bob)
        await cluster.enter(0, chat, ann)
        await cluster.enter(1, chat, bob)
        for number in range(2):
            await cluster.open(0, f"/ws/native{number}", ann.token)
        prometheus = ScrapingPods(tmp_path / "prometheus", cluster)
        prometheus.start()
        try:
            rule = _rule()
            labels = (
                f'namespace="{NAMESPACE}",pod=~"gateway-0|gateway-1"'  # what the adapter puts in for the HPA's pods
            )
            query = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
            query = query.replace("<<.LabelMatchers>>", labels).replace("<<.GroupBy>>", "pod")
            assert "<<" not in query
            expected = {"gateway-0": 3.0, "gateway-1": 1.0}
            wait_until(lambda: prometheus.by_pod(query) == expected, "each connection is counted", every_s=0.2)
            assert prometheus.by_pod(f"sum by (pod) ({rule['seriesQuery']})") == expected, "the rule finds the series"
        finally:
            prometheus.stop()
