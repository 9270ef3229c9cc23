"""A separate auth process and pages of other origins, with the cookies of a login."""

from pathlib import Path

import httpx

from tests.e2e.auth_process import AuthProcess
from tests.support.migrated import make_store

ANN = {"login": "ann", "password": "correct horse", "refresh": "cookie"}
OWN, SIBLING = "https://chat.example", "https://wiki.chat.example"
REFRESH, LOGOUT = "/api/v1/login/refresh", "/api/v1/logout"


async def test_auth_process_compares_origins_with_its_settings(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    await make_store(sqlite_url)
    settings = {"APP_ENV": "production", "REDIS_URL": redis_url, "DATABASE_URL": sqlite_url, "ALLOWED_ORIGINS": OWN}
    with AuthProcess(tmp_path / "auth", **settings) as auth:
        async with httpx.AsyncClient(base_url=auth.url, trust_env=False) as http:
            account = {name: ANN[name] for name in ("login", "password")}
            assert (await http.post("/register", json=account)).status_code == 201
            answer = await http.post("/login", json=ANN, headers={"Origin": OWN})
            assert answer.status_code == 200
            for path in (REFRESH, LOGOUT):
                for origin in (SIBLING, auth.url, "null"):
                    refused = await http.post(path, headers={"Origin": origin, "Sec-Fetch-Site": "same-site"})
                    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_origin"), (path, origin)
            assert (await http.post(REFRESH, headers={"Origin": OWN})).status_code == 200
            assert (await http.post(LOGOUT, headers={"Origin": OWN})).status_code == 204
            assert (await http.get("/livez")).status_code == 200
