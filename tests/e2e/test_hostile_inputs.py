"""Headers, fields and frames of maximum size and hostile content get a response at once."""

import http.client
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from tests.e2e.system import System, run_system
from tests.support.log_secrets import fail_on_secrets
from tests.support.machine_speed import slowness

KEY = "a service key of this test"
SETTINGS = {"SERVICE_KEYS": KEY, "MESSAGES_PER_MINUTE": "0"}
PASSWORD = "a long enough passphrase"
SIZE = 60_000
PROMPT_S = 0.5
"""Of which an answer takes some milliseconds: the rest is for a machine that others use too."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One for the whole module: nothing here changes it."""
    folder = tmp_path_factory.mktemp("system")
    with run_system(folder, SETTINGS) as running:
        yield running
    fail_on_secrets(folder)


@pytest.fixture(scope="module")
def credentials(system: System) -> dict[str, str]:
    """Headers that open every operation."""
    url = system.replica_urls[0]
    httpx.post(f"{url}/register", json={"login": "ann", "password": PASSWORD}).raise_for_status()
    token = httpx.post(f"{url}/login", json={"login": "ann", "password": PASSWORD}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "X-Service-Key": KEY}
    httpx.post(f"{url}/api/v1/chats", json={"kind": "group"}, headers=headers).raise_for_status()
    return headers


def hostile_headers(credentials: Mapping[str, str]) -> Iterator[dict[str, bytes]]:
    """Each with one hostile value; the others open the operation, unless it is the credential that is hostile."""
    own = {name: value.encode() for name, value in credentials.items()}
    anonymous = {"X-Service-Key": own["X-Service-Key"]}
    for unit in (b"!", b" a", b"a,", b"\\", b'"', b";a="):
        text = (unit * SIZE)[:SIZE]
        yield own | {"Idempotency-Key": text + b"\xff"}
        yield own | {"Content-Type": b"application/json;" + text}
        yield own | {"Accept": text}
        yield own | {"Origin": b"http://" + text.strip()}
        yield own | {"X-Forwarded-For": text}
        yield own | {"Range": b"bytes=" + text}
        yield own | {"If-None-Match": text}
        yield anonymous | {"Authorization": b"Bearer " + text}
        yield anonymous | {"Cookie": b'access_token="' + text + b'"'}
        yield own | {"X-Service-Key": text}


def seconds(url: str, method: str, path: str, headers: Mapping[str, str | bytes], body: bytes = b"") -> float:
    """From the request to the whole of its answer, which is none of a fault of ours."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    begin = time.monotonic()
    connection.request(method, path, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    answer.read()
    took = time.monotonic() - begin
    connection.close()
    assert answer.status < 500 or answer.status == 503, (method, path, answer.status)
    return took


def is_prompt(
    bound_s: float, url: str, method: str, path: str, headers: Mapping[str, str | bytes], body: bytes = b""
) -> bool:
    """Whether the request, or the same again, takes no longer than that, or as much longer as the machine is slow."""
    if any(seconds(url, method, path, headers, body) <= bound_s for _ in range(2)):
        return True
    return seconds(url, method, path, headers, body) <= bound_s * slowness()


def example(content: dict[str, Any]) -> Any:
    """The only example of a body, or the first."""
    return content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]


def operations(url: str) -> Iterator[tuple[str, str, bytes]]:
    """Every method and path of the API and the page, with a body that the operation takes."""
    for path, methods in httpx.get(f"{url}/openapi.json").json()["paths"].items():
        there = path.replace("{chat_id}", "1").replace("{user_id}", "1").replace("{client_id}", "c")
        for method, operation in methods.items():
            contents = operation.get("requestBody", {}).get("content", {}).values()
            body = orjson.dumps(next((example(content) for content in contents), {}))
            yield method.upper(), there, body
    for page in ("/", "/static/page.js", "/docs", "/openapi.json", "/asyncapi.json", "/no/such/page"):
        yield "GET", page, b""


@pytest.mark.timeout(600)
def test_every_operation_responds_to_hostile_headers_at_once(system: System, credentials: dict[str, str]) -> None:
    url = system.replica_urls[0]
    for method, path, body in operations(url):
        control = min(seconds(url, method, path, credentials, body) for _ in range(2))  # a hash takes its time
        for headers in hostile_headers(credentials):
            long = [name for name, value in headers.items() if len(value) >= SIZE]
            assert is_prompt(PROMPT_S + 3 * control, url, method, path, headers, body), (method, path, long)


@pytest.mark.timeout(600)
def test_every_operation_responds_to_hostile_bodies_at_once(system: System, credentials: dict[str, str]) -> None:
    url = system.replica_urls[0]
    form = {**credentials, "Content-Type": "application/x-www-form-urlencoded"}
    for method, path, _ in operations(url):
        for name in ("text", "login", "email"):
            body = b'{"%s": "%s"}' % (name.encode(), b"!" * SIZE)
            assert is_prompt(PROMPT_S, url, method, path, credentials, body), (method, path, name)
        for unit in ("!", "[", '{"a":', "9", "-", '"\\ud800', "&a=", "%", "a@"):
            body = (unit * SIZE)[:SIZE].encode()
            for headers in (credentials, form):
                assert is_prompt(PROMPT_S, url, method, path, headers, body), (method, path, unit)
        for unit in ("x", "!", "9", "-", "&a=", "%", "a@"):
            query = (unit * SIZE)[:50_000]
            for name in ("limit", "token", "after_seq"):
                where = f"{path}?{name}={query}"
                assert is_prompt(PROMPT_S, url, method, where, credentials), (method, path, name, unit)


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SOCKETS = ("/ws/chat/1/", "/ws/service-chats/1", "/updates/r", "/ws/c", "/channels/echo", "/channels/public")


@pytest.mark.timeout(600)
def test_every_socket_responds_to_hostile_handshakes_at_once(system: System, credentials: dict[str, str]) -> None:
    url = system.replica_urls[0]
    hostile = ("Origin", "Cookie", "Authorization", "Connection", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")
    for path in SOCKETS:
        for unit in (b"!", b"a, ", b"bearer, ", b"\\", b'"', b";a="):
            for name in (*hostile, "Sec-WebSocket-Key"):
                for size in (7_900, SIZE):
                    text = {name: b'access_token="' * (name == "Cookie") + (unit * size)[:size].strip()}
                    headers = credentials | UPGRADE | text
                    assert is_prompt(PROMPT_S, url, "GET", path, headers), (path, name, unit, size)
            query = (unit.decode() * SIZE)[:50_000].replace(" ", "+")
            for where in (f"{path}?token={query}", f"{path}?since={query}", path + query.replace("/", "")):
                assert is_prompt(PROMPT_S, url, "GET", where, UPGRADE), (path, unit, where[:40])
