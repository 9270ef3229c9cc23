"""Auth on a real server: HTTP responses and logs."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from auth.app import AuthService, create_app
from httpapi.body import SMALL_BODY_BYTES
from tests.auth.exchange import ANN, FORM


@pytest.fixture
async def http(memory_service: AuthService) -> AsyncIterator[httpx.AsyncClient]:
    config = uvicorn.Config(
        create_app(memory_service), port=0, log_config=None, lifespan="on", ws="none", proxy_headers=False
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    await serving


async def test_user_registers_and_logs_in_over_http(http: httpx.AsyncClient) -> None:
    assert (await http.post("/register", json=ANN)).status_code == 201
    answer = await http.post("/login", json=ANN)
    assert answer.status_code == 200
    assert http.cookies["access_token"] == answer.json()["access_token"]
    assert (await http.post("/api/v1/login/access-token", data=FORM)).status_code == 200


async def _in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 1000):
        yield b"x" * 1000


@pytest.mark.parametrize("size", [SMALL_BODY_BYTES + 1, 200_000, 5_000_000])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "chunked"])
async def test_too_large_body_gets_413_and_connection_continues(
    http: httpx.AsyncClient, size: int, is_chunked: bool
) -> None:
    headers = {"Content-Type": "application/json"}
    for _ in range(5):
        body = _in_chunks(size) if is_chunked else b"x" * size
        answer = await http.post("/login", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (await http.post("/register", json=ANN)).status_code == 201


async def test_event_loop_responds_while_passwords_are_hashed(http: httpx.AsyncClient) -> None:
    await http.post("/register", json=ANN)
    logins = [asyncio.create_task(http.post("/login", json=ANN)) for _ in range(10)]
    answered = 0
    async with asyncio.timeout(20):
        while not all(login.done() for login in logins):
            assert (await http.get("/.well-known/jwks.json")).status_code == 200
            answered += 1
    assert {login.result().status_code for login in logins} == {200}
    assert answered >= 10


async def test_logs_name_events_without_password_or_token(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("authlib")]
    for logger in loggers:
        caplog.set_level(logging.DEBUG, logger.name)
    secrets = ["correct horse", "correct%20horse", "correct+horse", "wrong horse", "wrong+horse"]

    user_id = (await http.post("/register", json=ANN)).json()["id"]
    for path, body in (("/login", {"json": ANN}), ("/api/v1/login/access-token", {"data": FORM})):
        secrets.append((await http.post(path, **body)).json()["access_token"])  # type: ignore[arg-type]
    await http.post("/login", json=ANN | {"password": "wrong horse"})
    await http.post("/login", json={"login": "wrong horse", "password": "wrong horse"})  # typed into the wrong field
    await http.post("/api/v1/login/access-token", data={"username": "wrong horse", "password": "wrong horse"})
    for _ in range(10):
        await http.post("/login", json=ANN | {"password": "wrong horse"})

    ours = [record for record in caplog.records if not record.name.startswith("http")]  # the test's own client
    written = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in ours)
    assert not [secret for secret in secrets if secret in written]
    events = [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records if record.name == "auth"]
    address = {"address": "127.0.0.1"}
    assert events[:5] == [
        ("registered", {"user_id": user_id}),
        ("login_succeeded", {"user_id": user_id} | address),
        ("login_succeeded", {"user_id": user_id} | address),
        ("login_failed", {"user_id": user_id} | address),
        ("login_failed", {"user_id": None} | address),
    ]
    assert events[-1][0] == "login_limited"
    assert set(events[-1][1]) == {"address", "wait_s"}
