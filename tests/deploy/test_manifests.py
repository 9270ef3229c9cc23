"""Rules for all Kubernetes objects, built by kustomize or Helm, by the oldest and the newest supported version."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from gateway.config.settings import known_settings
from gateway.config.sources import load
from gateway.config.validation import require_own_url
from tests.deploy.programs import AGES, Object
from tests.deploy.schemas import CUSTOM, check
from tests.deploy.secrets import SECRETS
from tests.deploy.variants import VARIANTS, build

SETTINGS = {known.name.upper() for known in known_settings()}
NOT_OURS = {"db", "redis"}  # the development overlay's
STOP_BEYOND_THE_DRAIN_S = 8  # gateway.server.serve: DRAIN_MARGIN_S + SHUTDOWN_S


@cache
def _built(variant: str, age: str = "newest") -> list[Object]:
    return build(variant, age)


@pytest.fixture(params=VARIANTS)
def built(request: pytest.FixtureRequest) -> list[Object]:
    return _built(request.param)


def _pods(built: list[Object]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and spec of every pod of ours."""
    for each in built:
        name = each["metadata"]["name"]
        if each["kind"] == "Pod":
            yield name, each["spec"]
        elif each["kind"] in ("Deployment", "Job") and name not in NOT_OURS:
            yield name, each["spec"]["template"]["spec"]


def _deployments(built: list[Object]) -> Iterator[tuple[Object, dict[str, Any], dict[str, str]]]:
    """Each Deployment of ours, its container, and the settings that it reads from its ConfigMap."""
    maps = {each["metadata"]["name"]: each["data"] for each in built if each["kind"] == "ConfigMap"}
    for each in built:
        if each["kind"] == "Deployment" and each["metadata"]["name"] not in NOT_OURS:
            (container,) = each["spec"]["template"]["spec"]["containers"]
            yield each, container, maps[container["envFrom"][0]["configMapRef"]["name"]]


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_manifests_match_oldest_and_newest_kubernetes_schemas(variant: str, age: str) -> None:
    built = _built(variant, age)
    assert len(built) > 3
    for each in built:
        check(each, AGES[age])


@pytest.mark.parametrize("variant", VARIANTS)
def test_oldest_and_newest_tool_build_equal_manifests(variant: str) -> None:
    def by_name(age: str) -> dict[tuple[str, str], Object]:
        return {(each["kind"], each["metadata"]["name"]): each for each in _built(variant, age)}

    assert by_name("oldest") == by_name("newest")


def test_object_names_are_valid_dns_labels(built: list[Object]) -> None:
    for each in built:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"])


def test_every_setting_exists_and_no_credential_is_inline(built: list[Object]) -> None:
    for _, _, settings in _deployments(built):
        assert set(settings) <= SETTINGS - SECRETS
    for name, pod in _pods(built):
        given = {each["name"]: each for each in pod["containers"][0].get("env", [])}
        assert set(given) <= SETTINGS | {"URL", "TZ"}, name
        assert not any("value" in given[secret] for secret in SECRETS & set(given) - {"JWKS_URL"}), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_gateway_accepts_manifest_settings(variant: str) -> None:
    given = {"DATABASE_URL": "postgres://chat:of-our-own@db/chat", "REDIS_URL": "redis://:of-our-own@redis"}
    for _, _, settings in _deployments(_built(variant)):
        read = load(environ={**settings, **given}, folder=None)
        assert read.metrics_port is not None
        if variant != "k8s/base":  # which an overlay says the URL of
            require_own_url(read)


def test_probes_use_existing_urls_and_ports(built: list[Object]) -> None:
    for deployment, container, settings in _deployments(built):
        part = container["args"][0]
        ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
        expected = {"http": settings["APP_PORT"], "metrics": settings["METRICS_PORT"]}
        assert ports == (expected if part == "gateway" else expected | {"http": settings["AUTH_PORT"]})
        asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {probe["port"] for probe in asked.values()} == {"http"}
        assert [probe["path"] for probe in asked.values()] == ["/livez", "/livez", "/readyz"], deployment["metadata"]


def test_services_scalers_and_budgets_select_their_pods(built: list[Object]) -> None:
    deployments = {each["metadata"]["name"]: each for each, _, _ in _deployments(built)}
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in deployments.values()]
    for each in built:
        spec = each.get("spec", {})
        if each["kind"] == "HorizontalPodAutoscaler":
            assert spec["scaleTargetRef"]["name"] in deployments
            assert "replicas" not in deployments[spec["scaleTargetRef"]["name"]]["spec"]
        selector = {"Service": spec.get("selector"), "PodDisruptionBudget": spec.get("selector", {}).get("matchLabels")}
        if each["metadata"]["name"] not in NOT_OURS and (wanted := selector.get(each["kind"])):
            assert sum(wanted.items() <= found.items() for found in labels) == 1, each["metadata"]["name"]


def test_routes_lead_to_existing_services(built: list[Object]) -> None:
    ports = {
        each["metadata"]["name"]: {key: port[key] for port in each["spec"]["ports"] for key in ("name", "port")}
        for each in built
        if each["kind"] == "Service"
    }
    for each in built:
        if each["kind"] == "Ingress":
            for path in each["spec"]["rules"][0]["http"]["paths"]:
                service = path["backend"]["service"]
                assert ports[service["name"]]["name"] == service["port"]["name"]
        if each["kind"] == "HTTPRoute":
            for rule in each["spec"]["rules"]:
                (backend,) = rule["backendRefs"]
                assert ports[backend["name"]]["port"] == backend["port"]


def test_grace_period_is_longer_than_drain(built: list[Object]) -> None:
    for deployment, container, settings in _deployments(built):
        grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
        assert command == "sleep"
        drain = 0.0
        if container["args"][0] == "gateway":
            drain = float(settings["DRAIN_DELAY_S"]) + float(settings["DRAIN_S"])
        assert grace > int(seconds) + drain + STOP_BEYOND_THE_DRAIN_S


def test_every_pod_meets_restricted_standard(built: list[Object]) -> None:
    for name, pod in _pods(built):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"], name


def test_all_pods_run_one_image(built: list[Object]) -> None:
    assert len({container["image"] for _, pod in _pods(built) for container in pod["containers"]}) == 1


def test_policies_cover_ingress_and_egress(built: list[Object]) -> None:
    policies = [each["spec"] for each in built if each["kind"] == "NetworkPolicy"]
    for policy in policies:
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule["ports"] for rule in policy["egress"])  # never all ports
        named = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert named <= {"http", "metrics"}
        for rule in policy["ingress"]:
            if {"protocol": "TCP", "port": "metrics"} in rule["ports"]:
                assert rule["from"]


def test_misspelt_field_is_rejected() -> None:
    good = next(each for each in _built("k8s/base") if each["kind"] == "PodDisruptionBudget")
    bad = {**good, "spec": {**good["spec"], "maxUnavailble": 1}}
    with pytest.raises(Exception, match="maxUnavailble"):
        check(bad, "1.29")
    assert CUSTOM
    rule = next(each for each in _built("chart: everything") if each["kind"] == "ServiceMonitor")
    with pytest.raises(AssertionError, match="intervall"):
        check({**rule, "spec": {**rule["spec"], "endpoints": [{"intervall": "15s"}]}}, "1.29")
