"""The server API for a backend, with a service key: `Server` blocks, `AsyncServer` awaits; otherwise they are the same.

Keeps: a call that may be repeated is, after a lost connection, 429 and 503. One that stores a message has an
`Idempotency-Key`, so that repeating it stores nothing twice. docs/server-api.md says what can be called; `request`
calls anything.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from chat_gateway_client.errors import Rejected

TIMEOUT_S: Final = 10.0
ATTEMPTS: Final = 5
_BUSY: Final = frozenset({429, 503})
Json = Any


@dataclass(frozen=True, slots=True)
class _Call:
    """One call and how it is sent."""

    method: str
    path: str
    json: Json
    headers: Mapping[str, str]
    may_repeat: bool


def _call(
    method: str,
    path: str,
    json: Json,
    on_behalf_of: int | str | None = None,
    idempotency_key: str | None = None,
    may_repeat: bool | None = None,
) -> _Call:
    headers = {}
    if on_behalf_of is not None:
        headers["X-On-Behalf-Of"] = str(on_behalf_of)
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    if may_repeat is None:
        may_repeat = method != "POST" or idempotency_key is not None
    return _Call(method, path, json, headers, may_repeat)


def _sending(
    chat_id: int | str, on_behalf_of: int | str | None, idempotency_key: str | None, message: Mapping[str, Json]
) -> _Call:
    path = f"/api/v1/chats/{_segment(chat_id)}/messages"
    return _call("POST", path, message, on_behalf_of, idempotency_key or str(uuid.uuid4()))


def _sending_many(items: Sequence[Mapping[str, Json]]) -> _Call:
    return _call("POST", "/api/v1/messages", {"items": list(items)}, may_repeat=True)


def _putting_user(sub: str, profile: Mapping[str, Json]) -> _Call:
    return _call("PUT", f"/api/v1/users/sub:{_segment(sub)}", profile)


def _creating_chat(kind: str, chat: Mapping[str, Json]) -> _Call:
    return _call("POST", "/api/v1/chats", {"kind": kind, **chat}, may_repeat="key" in chat)


def _segment(one: int | str) -> str:
    return quote(str(one), safe=":")


class _Attempts:
    """The attempts at one call: after each, whether there is another, and when."""

    def __init__(self, call: _Call) -> None:
        self._most = ATTEMPTS if call.may_repeat else 1
        self._made = 0

    def delay_s(self, response: httpx.Response | None) -> float | None:
        """The delay before the next attempt, after a response or a lost connection (None).

        It is what `Retry-After` says, or a random one that grows. None: there is no other attempt.
        """
        self._made += 1
        if self._made == self._most or (response is not None and response.status_code not in _BUSY):
            return None
        after = "" if response is None else response.headers.get("Retry-After", "")
        most_s = 0.25 * 2**self._made
        return float(after) if after.isdecimal() else random.uniform(0, most_s)  # noqa: S311 - spreads load


def _result(response: httpx.Response) -> Json:
    """The JSON of a response; None without a body.

    Raises: Rejected.
    """
    if response.is_success:
        return response.json() if response.content else None
    try:
        problem = response.json()
        code, detail = problem["code"], problem.get("detail", "")
    except (ValueError, KeyError, TypeError):
        code, detail = "http_error", response.reason_phrase
    raise Rejected(code, detail, response.status_code)


class Server:
    """The API of the gateway at `url`, with the service key `key`. Close it, or use it as a context manager."""

    def __init__(self, url: str, key: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.Client(base_url=url, headers={"X-Service-Key": key}, timeout=timeout_s)

    def __enter__(self) -> Self:
        """Nothing is sent yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        json: Json = None,
        *,
        on_behalf_of: int | str | None = None,
        idempotency_key: str | None = None,
        may_repeat: bool | None = None,
    ) -> Json:
        """Call anything: the JSON of the response. `on_behalf_of` is a user's id or `sub:…`.

        A POST is repeated only with an `idempotency_key`, unless `may_repeat` says otherwise.

        Raises: Rejected, httpx.TransportError.
        """
        return self._run(_call(method, path, json, on_behalf_of, idempotency_key, may_repeat))

    def _run(self, call: _Call) -> Json:
        attempts = _Attempts(call)
        while True:
            try:
                response = self._http.request(call.method, call.path, json=call.json, headers=call.headers)
            except httpx.TransportError:
                if (delay_s := attempts.delay_s(None)) is None:
                    raise
            else:
                if (delay_s := attempts.delay_s(response)) is None:
                    return _result(response)
            time.sleep(delay_s)

    def send(
        self,
        chat_id: int | str,
        text: str,
        *,
        on_behalf_of: int | str | None = None,
        idempotency_key: str | None = None,
        **more: Json,
    ) -> Json:
        """Store a message of a user, or without `on_behalf_of` of the system. `more` are other keys, such as `data`."""
        return self._run(_sending(chat_id, on_behalf_of, idempotency_key, {"text": text, **more}))

    def send_many(self, items: Sequence[Mapping[str, Json]]) -> Json:
        """Store up to 500 messages at once; each item needs a `client_msg_id`, and has its own result."""
        return self._run(_sending_many(items))["results"]

    def put_user(self, sub: str, **profile: Json) -> Json:
        """Create or change a user of your own issuer."""
        return self._run(_putting_user(sub, profile))

    def create_chat(self, kind: str = "group", **chat: Json) -> Json:
        """Create a chat; with a `key`, repeating it returns the first."""
        return self._run(_creating_chat(kind, chat))


class AsyncServer:
    """As `Server`, for asyncio."""

    def __init__(self, url: str, key: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"X-Service-Key": key}, timeout=timeout_s)

    async def __aenter__(self) -> Self:
        """Nothing is sent yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        json: Json = None,
        *,
        on_behalf_of: int | str | None = None,
        idempotency_key: str | None = None,
        may_repeat: bool | None = None,
    ) -> Json:
        """As `Server.request`."""
        return await self._run(_call(method, path, json, on_behalf_of, idempotency_key, may_repeat))

    async def _run(self, call: _Call) -> Json:
        attempts = _Attempts(call)
        while True:
            try:
                response = await self._http.request(call.method, call.path, json=call.json, headers=call.headers)
            except httpx.TransportError:
                if (delay_s := attempts.delay_s(None)) is None:
                    raise
            else:
                if (delay_s := attempts.delay_s(response)) is None:
                    return _result(response)
            await asyncio.sleep(delay_s)

    async def send(
        self,
        chat_id: int | str,
        text: str,
        *,
        on_behalf_of: int | str | None = None,
        idempotency_key: str | None = None,
        **more: Json,
    ) -> Json:
        """As `Server.send`."""
        return await self._run(_sending(chat_id, on_behalf_of, idempotency_key, {"text": text, **more}))

    async def send_many(self, items: Sequence[Mapping[str, Json]]) -> Json:
        """As `Server.send_many`."""
        return (await self._run(_sending_many(items)))["results"]

    async def put_user(self, sub: str, **profile: Json) -> Json:
        """As `Server.put_user`."""
        return await self._run(_putting_user(sub, profile))

    async def create_chat(self, kind: str = "group", **chat: Json) -> Json:
        """As `Server.create_chat`."""
        return await self._run(_creating_chat(kind, chat))
