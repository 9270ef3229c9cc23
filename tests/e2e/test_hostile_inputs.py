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

KEY = "a service key of this test"
SETTINGS = {"SERVICE_KEYS": KEY, "MESSAGES_PER_MINUTE": "0"}
PASSWORD = "a long enough passphrase"
SIZE = 60_000
PROMPT_S = 0.5
"""Of which an answer takes some milliseconds: the rest is for a busy machine."""


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
            took = min(seconds(url, method, path, headers, body) for _ in range(2))
            long = [name for name, value in headers.items() if len(value) >= SIZE]
            assert took <= PROMPT_S + 3 * control, (method, path, long)


@pytest.mark.timeout(600)
def test_every_operation_responds_to_hostile_bodies_at_once(system: System, credentials: dict[str, str]) -> None:
    url = system.replica_urls[0]
    for method, path, _ in operations(url):
        for unit in ("!", "[", '{"a":', "9", "-", '"\\ud800', "&a=", "%", "a@"):
            text = (unit * SIZE)[:SIZE]
            bodies = [text.encode()] + [b'{"%s": "%s"}' % (name, b"!" * SIZE) for name in (b"text", b"login", b"email")]
            times = [seconds(url, method, path, credentials, body) for body in bodies]
            form = {**credentials, "Content-Type": "application/x-www-form-urlencoded"}
            times.append(seconds(url, method, path, form, text.encode()))
            query = (text if unit in ("!", "9", "-", "&a=", "%", "a@") else "x")[:50_000]
            queried = [f"{path}?{name}={query}" for name in ("limit", "token", "after_seq")]
            times += [seconds(url, method, where, credentials) for where in queried]
            assert max(times) <= PROMPT_S, (method, path, unit, times)


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
                    took = min(seconds(url, "GET", path, credentials | UPGRADE | text) for _ in range(2))
                    assert took <= PROMPT_S, (path, name, unit, size)
            query = (unit.decode() * SIZE)[:50_000].replace(" ", "+")
            for where in (f"{path}?token={query}", f"{path}?since={query}", path + query.replace("/", "")):
                took = min(seconds(url, "GET", where, UPGRADE) for _ in range(2))
                assert took <= PROMPT_S, (path, unit, where[:40])
