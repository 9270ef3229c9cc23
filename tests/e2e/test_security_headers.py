"""Security headers and HSTS of the real processes in production, behind a proxy that terminates TLS."""

from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.auth_node import AuthNode
from tests.support.cluster import run_cluster
from tests.support.migrated import make_store

BEHIND_TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
HSTS = "max-age=31536000"
PRODUCTION = {"APP_ENV": "production", "TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_ORIGINS": "https://chat.example"}
REQUESTS = [
    ("GET", "/livez", {}, 200),
    ("GET", "/docs", {}, 200),
    ("GET", "/docs/", {}, 307),
    ("GET", "/nowhere", {}, 404),
    ("DELETE", "/livez", {}, 405),
]
OF_A_GATEWAY = [
    ("GET", "/", {}, 200),
    ("GET", "/livez", {"Origin": "https://evil.example"}, 403),
    ("OPTIONS", "/api/v1/chats", {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"}, 204),
    ("GET", "/api/v1/chats", {}, 401),
    ("GET", "/ws/chat/1/", {}, 426),
]
OF_AUTH = [("POST", "/login", {}, 415), ("GET", "/login", {}, 405)]


def _check(url: str, requests: list[tuple[str, str, dict[str, str], int]], hsts: str | None, **more: str) -> None:
    for method, path, headers, status in requests:
        response = httpx.request(method, url + path, headers=headers | more)
        assert response.status_code == status, (path, response.text)
        assert response.headers["x-content-type-options"] == "nosniff", path
        assert response.headers["referrer-policy"] == "no-referrer", path
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"], path
        assert response.headers.get("strict-transport-security") == hsts, path


async def test_gateway_in_production_sends_hsts_behind_tls(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **PRODUCTION) as cluster:
        node = cluster.nodes[0]
        _check(node.url, REQUESTS + OF_A_GATEWAY, HSTS, **BEHIND_TLS)
        _check(node.url, REQUESTS + OF_A_GATEWAY, None)
        address = node.url.replace("http", "ws", 1) + "/ws/chat/1/"
        for more, expected in ((BEHIND_TLS, HSTS), ({}, None)):
            with pytest.raises(InvalidStatus) as rejection:
                await connect(address, additional_headers=more, proxy=None)
            headers = rejection.value.response.headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers.get("strict-transport-security") == expected


async def test_hsts_needs_production(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    settings = PRODUCTION | {"APP_ENV": "development", "PUBLIC_URL": "https://chat.example"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster:
        _check(cluster.nodes[0].url, REQUESTS, None, **BEHIND_TLS)


async def test_auth_in_production_sends_security_headers(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    await make_store(sqlite_url)
    settings = PRODUCTION | {"REDIS_URL": redis_url, "DATABASE_URL": sqlite_url}
    behind_proxy = AuthNode(tmp_path / "proxy", **settings)
    with_url = AuthNode(tmp_path / "url", **settings, PUBLIC_URL="https://chat.example")
    try:
        behind_proxy.start()
        with_url.start()
        _check(behind_proxy.url, REQUESTS + OF_AUTH, HSTS, **BEHIND_TLS)
        _check(behind_proxy.url, REQUESTS + OF_AUTH, None)
        _check(with_url.url, REQUESTS + OF_AUTH, HSTS)
    finally:
        behind_proxy.kill()
        with_url.kill()
