"""`/livez`, `/readyz` and `/metrics`."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.api.operator.metrics import MetricsPort, MetricsRoutes
from gateway.api.operator.probes import ProbeRoutes
from gateway.config.choices import Environment
from gateway.config.settings import Settings
from gateway.http.problems import HANDLERS
from gateway.metrics import Metrics
from gateway.server.health import Health
from gateway.server.startup import NoBarrier
from httpapi.security_headers import HEADERS
from tests.gateway.api.world import client_of, problem
from tests.gateway.quiet_broker import QuietBroker

KEY = "0123456789abcdefghij"
PRODUCTION = Settings(app_env=Environment.PRODUCTION, service_keys=("another key that is valid", KEY))
DEVELOPMENT = Settings(app_env=Environment.DEVELOPMENT)


class Probed:
    """A node's probes, and the things that they speak of."""

    def __init__(self, settings: Settings) -> None:
        self.broker = QuietBroker()
        self.gate = NoBarrier()
        self.failures: list[str] = []
        self.health = Health(self.broker, self.gate, self.failures)
        registry = Metrics().registry
        routes = [*ProbeRoutes(self.health, "n1").routes(), *MetricsRoutes(registry, settings).routes()]
        self._app = MetricsPort(Starlette(routes=routes, exception_handlers=HANDLERS), registry, settings)

    async def get(self, path: str, *, port: int = 80, **options: Any) -> httpx.Response:
        async with client_of(self._app) as http:
            return await http.get(f"http://chat.example:{port}{path}", **options)


async def test_node_with_unreachable_servers_is_alive() -> None:
    probed = Probed(PRODUCTION)
    probed.broker.down = True
    probed.health.store_answered(False)
    probed.health.drain()
    answer = await probed.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive", "node": "n1"})


async def test_node_with_failed_task_is_not_alive() -> None:
    probed = Probed(PRODUCTION)
    probed.failures.append("position check")
    answer = await probed.get("/livez")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["failed"]) == ("broken", ["position check"])


async def test_readiness_follows_node_health() -> None:
    probed = Probed(PRODUCTION)
    starting = await probed.get("/readyz")
    assert (starting.status_code, starting.json()["status"]) == (503, "starting")
    assert starting.headers["cache-control"] == "no-store"
    probed.gate.listening()
    ready = await probed.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "redis": "up", "database": "up", "node": "n1"}
    probed.health.drain()
    assert (await probed.get("/readyz")).status_code == 503


async def test_metrics_are_open_in_development() -> None:
    answer = await Probed(DEVELOPMENT).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "chat_gateway_build_info{" in answer.text


@pytest.mark.parametrize("key", [None, "", "wrong", KEY[:-1], KEY + "x", KEY.upper(), "ключ"])
async def test_metrics_in_production_need_a_service_key(key: str | None) -> None:
    headers = {} if key is None else {"X-Service-Key": key.encode()}
    answer = await Probed(PRODUCTION).get("/metrics", headers=headers)
    problem(answer, 403, "forbidden")
    assert "chat_gateway" not in answer.text


async def test_any_service_key_opens_metrics() -> None:
    for key in PRODUCTION.service_keys:
        assert (await Probed(PRODUCTION).get("/metrics", headers={"X-Service-Key": key})).status_code == 200


async def test_metrics_without_configured_service_keys_are_forbidden() -> None:
    for headers in ({}, {"X-Service-Key": ""}):
        problem(await Probed(replace(PRODUCTION, service_keys=())).get("/metrics", headers=headers), 403, "forbidden")


@pytest.mark.parametrize("settings", [PRODUCTION, DEVELOPMENT], ids=["production", "development"])
async def test_metrics_with_own_port_are_served_only_there(settings: Settings) -> None:
    probed = Probed(replace(settings, metrics_port=9100))
    response = await probed.get("/metrics", port=9100)
    assert response.status_code == 200
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    for path in ("/", "/livez", "/readyz", "/metrics/", "/metricsx", "/openapi.json"):
        response = await probed.get(path, port=9100)
        problem(response, 404, "not_found")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    spoofed = {"X-Service-Key": KEY, "X-Forwarded-Port": "9100", "Host": "chat.example:9100"}
    problem(await probed.get("/metrics", headers=spoofed), 404, "not_found")
