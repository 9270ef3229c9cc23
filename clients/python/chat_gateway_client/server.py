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
    on_behalf_of: int | str | None,
    idempotency_key: str | None,
    may_repeat: bool | None,
) -> _Call:
    headers = {}
    if on_behalf_of is not None:
        headers["X-On-Behalf-Of"] = str(on_behalf_of)
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    if may_repeat is None:
        may_repeat = method != "POST" or idempotency_key is not None
    return _Call(method, path, json, headers, may_repeat)


def _message(chat_id: int | str, text: str, more: Mapping[str, Json]) -> tuple[str, Json]:
    return f"/api/v1/chats/{_segment(chat_id)}/messages", {"text": text, **more}


def _segment(one: int | str) -> str:
    return quote(str(one), safe=":")


def _delay_s(response: httpx.Response | None, attempt: int) -> float:
    """What `Retry-After` says, or a random delay that grows."""
    after = "" if response is None else response.headers.get("Retry-After", "")
    return float(after) if after.isdecimal() else random.uniform(0, 0.5 * 2**attempt)  # noqa: S311 - spreads load


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
        call = _call(method, path, json, on_behalf_of, idempotency_key, may_repeat)
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1 or not call.may_repeat
            response = None
            try:
                response = self._http.request(call.method, call.path, json=call.json, headers=call.headers)
            except httpx.TransportError:
                if is_last:
                    raise
            if response is not None and (response.status_code not in _BUSY or is_last):
                return _result(response)
            time.sleep(_delay_s(response, attempt))
        raise AssertionError("the last attempt returns or raises")

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
        path, body = _message(chat_id, text, more)
        key = idempotency_key or str(uuid.uuid4())
        return self.request("POST", path, body, on_behalf_of=on_behalf_of, idempotency_key=key)

    def send_many(self, items: Sequence[Mapping[str, Json]]) -> Json:
        """Store up to 500 messages at once; each item needs a `client_msg_id`, and has its own result."""
        return self.request("POST", "/api/v1/messages", {"items": list(items)}, may_repeat=True)["results"]

    def put_user(self, sub: str, **profile: Json) -> Json:
        """Create or change a user of your own issuer."""
        return self.request("PUT", f"/api/v1/users/sub:{_segment(sub)}", profile)

    def create_chat(self, kind: str = "group", **chat: Json) -> Json:
        """Create a chat; with a `key`, repeating it returns the first."""
        return self.request("POST", "/api/v1/chats", {"kind": kind, **chat}, may_repeat="key" in chat)


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
        call = _call(method, path, json, on_behalf_of, idempotency_key, may_repeat)
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1 or not call.may_repeat
            response = None
            try:
                response = await self._http.request(call.method, call.path, json=call.json, headers=call.headers)
            except httpx.TransportError:
                if is_last:
                    raise
            if response is not None and (response.status_code not in _BUSY or is_last):
                return _result(response)
            await asyncio.sleep(_delay_s(response, attempt))
        raise AssertionError("the last attempt returns or raises")

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
        path, body = _message(chat_id, text, more)
        key = idempotency_key or str(uuid.uuid4())
        return await self.request("POST", path, body, on_behalf_of=on_behalf_of, idempotency_key=key)

    async def send_many(self, items: Sequence[Mapping[str, Json]]) -> Json:
        """As `Server.send_many`."""
        answer = await self.request("POST", "/api/v1/messages", {"items": list(items)}, may_repeat=True)
        return answer["results"]

    async def put_user(self, sub: str, **profile: Json) -> Json:
        """As `Server.put_user`."""
        return await self.request("PUT", f"/api/v1/users/sub:{_segment(sub)}", profile)

    async def create_chat(self, kind: str = "group", **chat: Json) -> Json:
        """As `Server.create_chat`."""
        return await self.request("POST", "/api/v1/chats", {"kind": kind, **chat}, may_repeat="key" in chat)
