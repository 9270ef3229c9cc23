"""The Helm chart: default output, rejected values, and its own test against a real gateway."""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.programs import AGES, CHART, ROOT, Refused, charted, helm, objects, one
from tests.deploy.variants import VALUES
from tests.support.cluster import run_cluster


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("name", VALUES)
def test_chart_passes_strict_helm_lint(name: str, age: str) -> None:
    assert "0 chart(s) failed" in helm("lint", VALUES[name], "--strict", "--kube-version", AGES[age], age=age)


def test_default_values_include_scaling_policies_and_migration() -> None:
    kinds = sorted(each["kind"] for each in charted())
    expected = {"HorizontalPodAutoscaler": 2, "PodDisruptionBudget": 2, "NetworkPolicy": 3, "Job": 1, "Deployment": 2}
    assert {kind: kinds.count(kind) for kind in expected} == expected
    assert not {"Secret", "Ingress", "ServiceMonitor"} & set(kinds)


def test_every_optional_part_can_be_disabled() -> None:
    kinds = sorted(each["kind"] for each in charted(VALUES["nothing"]))
    assert kinds == ["ConfigMap", "Deployment", "Pod", "Service", "Service"]


def test_one_value_mounts_the_ca_of_the_stores_in_every_pod() -> None:
    def pods(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [each["spec"]["template"]["spec"] for each in charted(values) if each["kind"] in ("Deployment", "Job")]

    ca = {"name": "stores-ca", "secret": {"secretName": "stores", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    mount = {"name": "stores-ca", "mountPath": "/etc/chat-gateway/tls", "readOnly": True}
    given = pods({"tls": {"caSecret": "stores"}})
    assert len(given) == 3
    for pod in given:
        assert ca in pod["volumes"]
        assert mount in pod["containers"][0]["volumeMounts"]
    assert "stores-ca" not in str(pods({}))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"tls": {"caSecret": "a b"}}, "caSecret"),
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
        ({"credentials": {"REDIS_URL": None}}, "credentials.REDIS_URL is missing: gateways communicate through Redis"),
        ({"credentials": {"DATABASE_URL": None}}, "credentials.DATABASE_URL is missing"),
        ({"credentials": {"KEYS_SECRET": None}}, "credentials.KEYS_SECRET is missing: it encrypts the keys"),
        ({"auth": {"databaseUrl": {"value": "postgres://a:b@c/d"}}}, "auth.databaseUrl: set either a value, or"),
        ({"migration": {"databaseUrl": {"secret": None}}}, "migration.databaseUrl: the Secret's name is missing"),
        ({"credentials": {"AMQP_URL": {"key": "x"}}}, "credentials.AMQP_URL: the Secret's name is missing"),
        ({"credentials": {"REDIS_URL": {"value": "redis://r"}}}, "credentials.REDIS_URL: set either a value, or"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs is missing"),
        ({"gateway": {"autoscaling": {"minReplicas": 30}}}, "minReplicas is greater than maxReplicas"),
        ({"gateway": {"autoscaling": {"connections": 0, "cpuPercent": 0}}}, "there is nothing to scale by"),
    ],
)
@pytest.mark.parametrize("age", AGES)
def test_invalid_value_gives_one_error_that_names_it(values: dict[str, Any], sentence: str, age: str) -> None:
    with pytest.raises(Refused) as refused:
        helm("template", values, age=age)
    said = str(refused.value)
    assert sentence in said
    assert len(said.splitlines()) < 10
    assert "nil pointer" not in said


@pytest.mark.parametrize("age", AGES)
def test_too_old_kubernetes_is_rejected(age: str) -> None:
    with pytest.raises(Refused, match="incompatible with Kubernetes"):
        helm("template", {}, "--kube-version", "1.28.0", age=age)
    for version in AGES.values():
        assert helm("template", {}, "--kube-version", version, age=age)


def test_numbers_and_lists_are_rendered_as_gateway_settings() -> None:
    settings = one(charted(VALUES["everything"]), "ConfigMap", "demo-chat-gateway")["data"]
    assert settings["ALLOWED_ORIGINS"] == "https://a.example,https://b.example"
    assert settings["MESSAGES_PER_MINUTE"] == "100000"
    assert settings["PING_INTERVAL_S"] == "12.5"
    assert settings["IS_PROXY"] == "true"


def test_each_part_gets_only_credentials_it_needs() -> None:
    built = charted(VALUES["everything"])

    def names(kind: str, name: str) -> set[str]:
        (container,) = one(built, kind, name)["spec"]["template"]["spec"]["containers"]
        return {each["name"] for each in container.get("env", [])} - {"TZ"}

    both = {"DATABASE_URL", "REDIS_URL", "SERVICE_KEYS", "JWKS_URL"}
    assert names("Deployment", "demo-chat-gateway") == both | {"AMQP_URL"}
    assert names("Deployment", "demo-chat-gateway-auth") == both | {"KEYS_SECRET"}
    assert names("Job", "demo-chat-gateway-migrate") == {"DATABASE_URL"}


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({}, {"gateway": "DATABASE_URL", "auth": "AUTH_DATABASE_URL", "migration": "MIGRATION_DATABASE_URL"}),
        (
            {"auth": {"databaseUrl": None}, "migration": {"databaseUrl": None}},
            {"gateway": "DATABASE_URL", "auth": "DATABASE_URL", "migration": "DATABASE_URL"},
        ),
        (
            {"credentials": {"DATABASE_URL": {"secret": "a"}}, "auth": {"databaseUrl": {"secret": "b", "key": "uri"}}},
            {"gateway": "DATABASE_URL", "auth": "uri", "migration": "MIGRATION_DATABASE_URL"},
        ),
        (VALUES["PostgreSQL part by part"], {"gateway": None, "auth": None, "migration": None}),
    ],
)
def test_each_part_has_a_database_url_of_its_own(values: dict[str, Any], keys: dict[str, str | None]) -> None:
    built = charted(values)
    found: dict[str, str | None] = {}
    parts = (("gateway", "Deployment", ""), ("auth", "Deployment", "-auth"), ("migration", "Job", "-migrate"))
    for part, kind, suffix in parts:
        (container,) = one(built, kind, f"demo-chat-gateway{suffix}")["spec"]["template"]["spec"]["containers"]
        names = [each["name"] for each in container["env"]]
        assert len(names) == len(set(names))
        secrets = [each for each in container["env"] if "valueFrom" in each]
        given = {each["name"]: each["valueFrom"]["secretKeyRef"]["key"] for each in secrets}
        assert given.get("DATABASE_URL") or given["POSTGRES_PASSWORD"]
        found[part] = given.get("DATABASE_URL")
    assert found == keys


def test_password_of_postgres_may_be_in_a_file() -> None:
    settings = {"POSTGRES_HOST": "db", "POSTGRES_PASSWORD_FILE": "/run/pg/password", "PUBLIC_URL": "https://a.example"}
    values: dict[str, Any] = {"settings": settings, "credentials": {"DATABASE_URL": None}}
    volumes = {
        "extraVolumes": [{"name": "pg", "secret": {"secretName": "pg"}}],
        "extraVolumeMounts": [{"name": "pg", "mountPath": "/run/pg", "readOnly": True}],
    }
    built = charted(values | dict.fromkeys(("gateway", "auth", "migration"), volumes))
    for kind, suffix in (("Deployment", ""), ("Deployment", "-auth"), ("Job", "-migrate")):
        pod = one(built, kind, f"demo-chat-gateway{suffix}")["spec"]["template"]["spec"]
        assert volumes["extraVolumes"][0] in pod["volumes"]
        assert volumes["extraVolumeMounts"][0] in pod["containers"][0]["volumeMounts"]
    env = one(built, "Job", "demo-chat-gateway-migrate")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "POSTGRES_PASSWORD_FILE", "value": "/run/pg/password"} in env
    assert "POSTGRES_PASSWORD" not in [each["name"] for each in env]
    both = {"DATABASE_URL": None, "POSTGRES_PASSWORD": {"secret": "pg", "key": "password"}}
    with pytest.raises(Refused, match=r"POSTGRES_PASSWORD and settings\.POSTGRES_PASSWORD_FILE exclude each other"):
        charted(values | {"credentials": both})


def test_migration_hook_runs_first_and_needs_no_release_object() -> None:
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


@pytest.mark.parametrize(
    ("values", "origins"),
    [
        ({}, "https://127.0.0.1:8000,http://127.0.0.1:8000,https://localhost:8000,http://localhost:8000"),
        ({"ingress": {"enabled": True, "host": "a.example"}}, "https://a.example,http://a.example"),
        (
            {"httpRoute": {"enabled": True, "parentRefs": [{"name": "web"}], "hostnames": ["*.b.test", "a.example"]}},
            "https://a.example,http://a.example",
        ),
        ({"settings": {"PUBLIC_URL": "https://a.example"}}, None),
        ({"settings": {"ALLOWED_ORIGINS": ["https://b.example"]}, "ingress": {"enabled": True, "host": "a.example"}},
         "https://b.example"),
        ({"settings": {"APP_ENV": "development"}}, None),
    ],
)  # fmt: skip
def test_production_origins_are_derived_from_values(values: dict[str, Any], origins: str | None) -> None:
    assert one(charted(values), "ConfigMap", "demo-chat-gateway")["data"].get("ALLOWED_ORIGINS") == origins


@pytest.mark.parametrize(
    "values",
    [
        {"service": {"type": "LoadBalancer"}},
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "web"}]}},
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "web"}], "hostnames": ["*.example"]}},
    ],
)
def test_production_without_public_url_is_rejected(values: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"settings\.PUBLIC_URL is missing"):
        charted(values)
    charted(values | {"settings": {"PUBLIC_URL": "https://a.example"}})


def test_changed_setting_rolls_both_deployments() -> None:
    def sums(values: dict[str, Any]) -> list[str]:
        pods = [each["spec"]["template"] for each in charted(values) if each["kind"] == "Deployment"]
        return [pod["metadata"]["annotations"]["checksum/settings"] for pod in pods]

    before, after = sums({}), sums({"settings": {"MAX_TEXT_LENGTH": 500}})
    assert len(before) == 2
    assert not set(before) & set(after)


def test_autoscaler_scales_up_at_once_and_down_slowly() -> None:
    behavior = one(charted(), "HorizontalPodAutoscaler", "demo-chat-gateway")["spec"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 1800
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_notes_name_the_next_step() -> None:
    notes = _notes(VALUES["defaults"])
    assert "DATABASE_URL from key DATABASE_URL of Secret chat-gateway" in notes
    assert "DATABASE_URL of auth from key AUTH_DATABASE_URL of Secret chat-gateway" in notes
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


async def test_helm_test_gets_pong_from_real_gateway(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    (container,) = one(charted(), "Pod", "demo-chat-gateway-test")["spec"]["containers"]
    _, _, script = container["command"]
    path = container["env"][0]["value"].removeprefix("ws://demo-chat-gateway:80")
    settings = {"APP_ENV": "production", "METRICS_PORT": "", "DRAIN_S": 0, "PUBLIC_URL": "https://chat.example.com"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster:
        environ = {"URL": cluster.nodes[0].ws_url(path), "PATH": os.environ["PATH"]}
        ended = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "pong" in ended.stdout


def test_runbook_urls_are_links_if_base_url_is_set() -> None:
    values = {"metrics": {"prometheusRule": {"enabled": True, "runbooks": "https://example.com/blob/main/"}}}
    rule = one(charted(values), "PrometheusRule", "demo-chat-gateway")
    urls = {
        each["annotations"]["runbook_url"]
        for group in rule["spec"]["groups"]
        for each in group["rules"]
        if "alert" in each
    }
    assert "https://example.com/blob/main/docs/runbooks/ChatGatewayDeaf.md" in urls
    assert all(re.fullmatch(r"https://example\.com/blob/main/docs/runbooks/\w+\.md", url) for url in urls)


def test_dashboards_are_included_unchanged(tmp_path: Path) -> None:
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


def test_every_value_is_documented() -> None:
    lines = (ROOT / "helm/chat-gateway/values.yaml").read_text().splitlines()
    groups = {"image", "credentials", "gateway", "auth", "migration", "autoscaling", "podDisruptionBudget", "drain",
              "serviceAccount", "service", "ingress", "httpRoute", "networkPolicy", "ports", "metrics",
              "serviceMonitor", "prometheusRule", "dashboards", "tls"}  # fmt: skip
    for above, line in pairwise(lines):
        name, colon, _ = line.strip().partition(":")
        if not colon or line.lstrip().startswith(("#", "-")) or name in groups:
            continue
        nested = {"requests", "limits", "runAsUser", "runAsGroup", "matchLabels"}
        assert name in nested or above.lstrip().startswith("# -- "), line
