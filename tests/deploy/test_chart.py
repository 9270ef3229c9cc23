"""The chart by itself: what it renders by default, what it refuses and how, and its own test against a real gateway."""

import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import run_cluster
from tests.deploy.programs import AGES, CHART, ROOT, Refused, charted, helm, objects, one
from tests.deploy.variants import VALUES


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("name", VALUES)
def test_helm_lints_it_strictly(name: str, age: str) -> None:
    assert "0 chart(s) failed" in helm("lint", VALUES[name], "--strict", "--kube-version", AGES[age], age=age)


def test_the_defaults_bring_scaling_budgets_policies_and_the_migration() -> None:
    kinds = sorted(each["kind"] for each in charted())
    expected = {"HorizontalPodAutoscaler": 2, "PodDisruptionBudget": 2, "NetworkPolicy": 3, "Job": 1, "Deployment": 2}
    assert {kind: kinds.count(kind) for kind in expected} == expected
    assert not {"Secret", "Ingress", "ServiceMonitor"} & set(kinds)


def test_every_part_can_be_switched_off() -> None:
    kinds = sorted(each["kind"] for each in charted(VALUES["nothing"]))
    assert kinds == ["ConfigMap", "Deployment", "Pod", "Service", "Service"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"gateway": {"replicas": "two"}}, "replicas"),
        ({"gateway": {"replica": 2}}, "replica"),
        ({"gateway": {"drain": {"seconds": -1}}}, "seconds"),
        ({"gateway": {"resources": {"request": {}}}}, "request"),
        ({"gateway": {"resources": {"limits": {"memory": "1Gb"}}}}, "memory"),
        ({"gateway": {"podDisruptionBudget": {"maxUnavailable": "a few"}}}, "maxUnavailable"),
        ({"replicaCount": 2}, "replicaCount"),
        ({"settings": {"MAX_TEXT_LENGHT": 5}}, "MAX_TEXT_LENGHT"),
        ({"settings": {"MAX_TEXT_LENGTH": "5"}}, "MAX_TEXT_LENGTH"),
        ({"settings": {"SECOND_CONNECTION": "never"}}, "SECOND_CONNECTION"),
        ({"settings": {"DATABASE_URL": "postgres://a:b@c/d"}}, "DATABASE_URL"),
        ({"settings": {"APP_PORT": 80}}, "APP_PORT"),
        ({"credentials": {"LOG_FORMAT": {"value": "text"}}}, "LOG_FORMAT"),
        ({"credentials": {"REDIS_URL": {"secretName": "x"}}}, "secretName"),
        ({"ingress": {"controller": "traefik"}}, "controller"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"networkPolicy": {"clients": [{"podSelectors": {}}]}}, "podSelectors"),
        ({"metrics": {"serviceMonitor": {"interval": "15"}}}, "interval"),
        ({"credentials": {"REDIS_URL": None}}, "credentials.REDIS_URL is missing: gateways find each other by Redis"),
        ({"credentials": {"DATABASE_URL": None}}, "credentials.DATABASE_URL is missing"),
        ({"credentials": {"AMQP_URL": {"key": "x"}}}, "credentials.AMQP_URL: the Secret's name is missing"),
        ({"credentials": {"REDIS_URL": {"value": "redis://r"}}}, "credentials.REDIS_URL: give either a value, or"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is missing"),
        ({"gateway": {"autoscaling": {"minReplicas": 30}}}, "minReplicas is more than maxReplicas"),
        ({"gateway": {"autoscaling": {"connections": 0, "cpuPercent": 0}}}, "there is nothing to scale by"),
    ],
)
@pytest.mark.parametrize("age", AGES)
def test_a_wrong_value_is_a_sentence_that_names_it(values: dict[str, Any], sentence: str, age: str) -> None:
    with pytest.raises(Refused) as refused:
        helm("template", values, age=age)
    said = str(refused.value)
    assert sentence in said
    assert len(said.splitlines()) < 10
    assert "nil pointer" not in said


@pytest.mark.parametrize("age", AGES)
def test_a_kubernetes_that_is_too_old_is_refused(age: str) -> None:
    with pytest.raises(Refused, match="incompatible with Kubernetes"):
        helm("template", {}, "--kube-version", "1.28.0", age=age)
    for version in AGES.values():
        assert helm("template", {}, "--kube-version", version, age=age)


def test_numbers_and_lists_become_what_the_gateway_reads() -> None:
    settings = one(charted(VALUES["everything"]), "ConfigMap", "demo-chat-gateway")["data"]
    assert settings["ALLOWED_ORIGINS"] == "https://a.example,https://b.example"
    assert settings["MESSAGES_PER_MINUTE"] == "100000"
    assert settings["PING_INTERVAL_S"] == "12.5"
    assert settings["IS_PROXY"] == "true"


def test_each_part_gets_the_credentials_that_it_needs() -> None:
    built = charted(VALUES["everything"])

    def names(kind: str, name: str) -> set[str]:
        (container,) = one(built, kind, name)["spec"]["template"]["spec"]["containers"]
        return {each["name"] for each in container.get("env", [])} - {"TZ"}

    both = {"DATABASE_URL", "REDIS_URL", "SERVICE_KEYS", "JWKS_URL"}
    assert names("Deployment", "demo-chat-gateway") == both | {"AMQP_URL"}
    assert names("Deployment", "demo-chat-gateway-auth") == both
    assert names("Job", "demo-chat-gateway-migrate") == {"DATABASE_URL"}


def test_the_migration_and_its_policy_come_first_and_lean_on_nothing_of_the_release() -> None:
    built = charted(VALUES["PostgreSQL part by part"])
    job = one(built, "Job", "demo-chat-gateway-migrate")
    policy = one(built, "NetworkPolicy", "demo-chat-gateway-migrate")
    weights = []
    for each in (policy, job):
        annotations = each["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        weights.append(int(annotations["helm.sh/hook-weight"]))
    assert weights == sorted(set(weights))
    pod = job["spec"]["template"]["spec"]
    assert "serviceAccountName" not in pod
    assert "envFrom" not in pod["containers"][0]
    env = {each["name"]: each.get("value", "secret") for each in pod["containers"][0]["env"]}
    assert env == {
        "APP_ENV": "production",
        "POSTGRES_HOST": "db",
        "POSTGRES_PORT": "5433",
        "POSTGRES_PASSWORD": "secret",
    }


def test_a_changed_setting_rolls_both_deployments() -> None:
    def sums(values: dict[str, Any]) -> list[str]:
        pods = [each["spec"]["template"] for each in charted(values) if each["kind"] == "Deployment"]
        return [pod["metadata"]["annotations"]["checksum/settings"] for pod in pods]

    before, after = sums({}), sums({"settings": {"MAX_TEXT_LENGTH": 500}})
    assert len(before) == 2
    assert not set(before) & set(after)


def test_it_scales_down_slowly_and_up_at_once() -> None:
    behavior = one(charted(), "HorizontalPodAutoscaler", "demo-chat-gateway")["spec"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 1800
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_the_notes_tell_the_next_step() -> None:
    notes = _notes(VALUES["defaults"])
    assert "DATABASE_URL from key DATABASE_URL of Secret chat-gateway" in notes
    assert "test demo" in notes
    assert "port-forward service/demo-chat-gateway 8000:80" in notes
    assert "port-forward service/demo-chat-gateway-auth 8001:80" in notes, "there people register"
    notes = _notes(VALUES["HAProxy on OpenShift"])
    assert "ws://chat.example.com/ws/" in notes
    assert "TRUSTED_PROXIES is not set" in notes


def _notes(values: dict[str, Any]) -> str:
    """NOTES.txt, as an install shows it; with Helm 3 even one that changes nothing asks the cluster for its version."""
    said = helm("install", values, "--dry-run=client", "--disable-openapi-validation")
    return said.partition("NOTES:")[2]


async def test_its_own_test_gets_a_pong_from_a_real_gateway(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    (container,) = one(charted(), "Pod", "demo-chat-gateway-test")["spec"]["containers"]
    _, _, script = container["command"]
    path = container["env"][0]["value"].removeprefix("ws://demo-chat-gateway:80")
    settings = {"APP_ENV": "production", "METRICS_PORT": "", "DRAIN_S": 0}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster:
        environ = {"URL": cluster.nodes[0].ws_url(path), "PATH": os.environ["PATH"]}
        ended = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0, ended.stderr
    assert "pong" in ended.stdout


def test_runbooks_become_links_where_it_is_said_where_they_are() -> None:
    values = {"metrics": {"prometheusRule": {"enabled": True, "runbooks": "https://example.com/blob/main/"}}}
    rule = one(charted(values), "PrometheusRule", "demo-chat-gateway")
    urls = {
        each["annotations"]["runbook_url"]
        for group in rule["spec"]["groups"]
        for each in group["rules"]
        if "alert" in each
    }
    assert "https://example.com/blob/main/docs/runbooks/ChatGatewayDeaf.md" in urls
    assert all(url.startswith("https://example.com/blob/main/docs/runbooks/") for url in urls)


def test_dashboards_come_as_they_are(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    for old in (chart / "dashboards").glob("*.json"):
        old.unlink()
    dashboard = '{"title": "{{ instance }} $__rate_interval"}'
    (chart / "dashboards/chat.json").write_text(dashboard)
    built = objects(helm("template", {"metrics": {"dashboards": {"enabled": True}}}, chart=chart))
    config = one(built, "ConfigMap", "demo-chat-gateway-dashboards")
    assert config["data"] == {"chat.json": dashboard}
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_schema_and_the_readme_know_every_setting_and_value_of_now() -> None:
    """If this fails: scripts/chart, and commit what it wrote."""
    ended = subprocess.run([sys.executable, ROOT / "scripts/chart", "--check"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_every_value_is_documented() -> None:
    lines = (ROOT / "helm/chat-gateway/values.yaml").read_text().splitlines()
    groups = {"image", "credentials", "gateway", "auth", "migration", "autoscaling", "podDisruptionBudget", "drain",
              "serviceAccount", "service", "ingress", "httpRoute", "networkPolicy", "ports", "metrics",
              "serviceMonitor", "prometheusRule", "dashboards"}  # fmt: skip
    for above, line in pairwise(lines):
        name, colon, _ = line.strip().partition(":")
        if not colon or line.lstrip().startswith(("#", "-")) or name in groups:
            continue
        nested = {"requests", "limits", "runAsUser", "runAsGroup", "matchLabels"}
        assert name in nested or above.lstrip().startswith("# -- "), line
