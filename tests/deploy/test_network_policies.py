"""The traffic that the network policies allow, decided as by Kubernetes: exactly what is needed."""

from typing import Any

import pytest

from tests.deploy.programs import Object, charted, kustomized

DNS = {("UDP", 53), ("TCP", 53)}
POSTGRES, REDIS, RABBITMQ, WEB = ("TCP", 5432), ("TCP", 6379), ("TCP", 5672), ("TCP", 443)
ANYBODY = "anybody"
UPSTREAM = {"ECHO_PROXY_URL": {"value": "wss://echo.example"}}


def _policies(built: list[Object]) -> dict[str, Any]:
    """The spec of each part's policy."""
    return {
        each["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: each["spec"]
        for each in built
        if each["kind"] == "NetworkPolicy"
    }


def _out(policy: dict[str, Any]) -> set[tuple[str, int]]:
    """Protocols and ports that are let out, to anywhere at all or to the servers."""
    return {(port.get("protocol", "TCP"), port["port"]) for rule in policy["egress"] for port in rule["ports"]}


def _in(policy: dict[str, Any], port: str) -> list[Any]:
    """Who may connect to a port: ANYBODY, or peers."""
    found: list[Any] = []
    for rule in policy["ingress"]:
        if {"protocol": "TCP", "port": port} in rule["ports"]:
            found += rule.get("from", [ANYBODY])
    return found


@pytest.mark.parametrize(
    ("values", "gateway", "auth", "migration"),
    [
        ({}, {POSTGRES, REDIS}, {POSTGRES, REDIS}, {POSTGRES}),
        ({"credentials": {"AMQP_URL": {"secret": "mq"}}}, {POSTGRES, REDIS, RABBITMQ}, {POSTGRES, REDIS}, {POSTGRES}),
        ({"settings": {"IS_PROXY": True}}, {POSTGRES, REDIS, WEB}, {POSTGRES, REDIS}, {POSTGRES}),
        ({"credentials": {"JWKS_URL": {"secret": "id"}}}, {POSTGRES, REDIS, WEB}, {POSTGRES, REDIS}, {POSTGRES}),
        ({"credentials": {"WEBHOOKS": {"secret": "app"}}}, {POSTGRES, REDIS, WEB}, {POSTGRES, REDIS}, {POSTGRES}),
        (
            {"credentials": {"PASSWORD_RESET_HOOK": {"secret": "mail"}}},
            {POSTGRES, REDIS},
            {POSTGRES, REDIS, WEB},
            {POSTGRES},
        ),
        (
            {"settings": {"POSTGRES_PORT": 6543}, "networkPolicy": {"ports": {"redis": [6379, 26379]}}},
            {POSTGRES, ("TCP", 6543), REDIS, ("TCP", 26379)},
            {POSTGRES, ("TCP", 6543), REDIS, ("TCP", 26379)},
            {POSTGRES, ("TCP", 6543)},
        ),
        (
            {"settings": {"IS_PROXY": True}, "credentials": UPSTREAM, "networkPolicy": {"ports": {"web": [8443]}}},
            {POSTGRES, REDIS, ("TCP", 8443)},
            {POSTGRES, REDIS},
            {POSTGRES},
        ),
    ],
    ids=[
        "defaults",
        "RabbitMQ",
        "the echo's upstream",
        "outside keys",
        "webhooks",
        "hook of resets",
        "Sentinels",
        "an upstream's port",
    ],
)
def test_each_part_reaches_only_what_it_needs(
    values: dict[str, Any],
    gateway: set[tuple[str, int]],
    auth: set[tuple[str, int]],
    migration: set[tuple[str, int]],
) -> None:
    policies = _policies(charted(values))
    assert _out(policies["gateway"]) == DNS | gateway
    assert _out(policies["auth"]) == DNS | auth
    assert _out(policies["migration"]) == DNS | migration


@pytest.mark.parametrize("folder", ["k8s/base", "k8s/overlays/production"])
def test_manifests_allow_exactly_named_egress(folder: str) -> None:
    policies = _policies(kustomized(folder))
    assert _out(policies["gateway"]) == DNS | {POSTGRES, REDIS, RABBITMQ}
    assert _out(policies["auth"]) == DNS | {POSTGRES, REDIS}
    assert _out(policies["migration"]) == DNS | {POSTGRES}


def test_clients_and_prometheus_have_ingress_and_migration_none() -> None:
    policies = _policies(charted())
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    for part in ("gateway", "auth"):
        assert _in(policies[part], "http") == [ANYBODY]
        assert _in(policies[part], "metrics") == [monitoring]
    assert policies["migration"]["ingress"] == []


def test_named_clients_still_allow_helm_test() -> None:
    clients = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    built = charted({"networkPolicy": {"clients": clients, "prometheus": []}})
    (tester,) = [each["metadata"]["labels"] for each in built if each["kind"] == "Pod"]
    for part in ("gateway", "auth"):
        (ingress, own) = _in(_policies(built)[part], "http")
        assert ingress == clients[0]
        assert own["podSelector"]["matchLabels"].items() <= tester.items()
        assert _in(_policies(built)[part], "metrics") == []


def test_egress_is_limited_to_named_servers() -> None:
    servers = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    for policy in _policies(charted({"networkPolicy": {"servers": servers}})).values():
        for rule in policy["egress"]:
            ports = {port["port"] for port in rule["ports"]}
            assert rule.get("to") == (None if ports == {53} else servers)
