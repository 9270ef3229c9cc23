"""Records HTTP requests in the audit log, and gives each request an id, which its response has in `X-Request-Id`."""

import logging
import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from httpapi.audit import facts
from httpapi.audit.events import OPERATIONS, REFUSALS, UNRECORDED, Event, Result, result_of
from httpapi.audit.recorder import Recorder
from httpapi.client_address import Network, client_address

logger = logging.getLogger("httpapi")

HEADER: Final = "X-Request-Id"
MAX_OPERATION: Final = 100
MAX_REQUEST_ID: Final = 64
MAX_ID: Final = 2**63 - 1

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONVERTOR: Final = re.compile(r":\w+\}")


class Audit:
    """ASGI middleware, outside of everything that may reject a request."""

    def __init__(self, app: ASGIApp, recorder: Recorder, trusted_proxies: Iterable[Network]) -> None:
        """Behind trusted proxies, the id that one gave to the request is kept.

        `gateway.server.proxy_headers` removes the ids of others.
        """
        self._app = app
        self._recorder = recorder
        self._trusted = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; handshakes are recorded where they are rejected."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request_id = self._request_id(request)
        notes, token = facts.begin()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            facts.end(token)
            try:
                self._record(request, notes, status, request_id)
            except Exception:  # a defect here must not fail the request
                logger.exception("audit_failed")

    def _record(self, request: Request, notes: facts.Notes, status: int, request_id: str) -> None:
        operation, result = operation_of(request.scope), result_of(status)
        event = notes.event or OPERATIONS.get(operation)
        if result is Result.OK and notes.is_unchanged:
            event = None
        if event is None:
            if status in REFUSALS:
                event = Event.REQUEST_REFUSED
            elif notes.is_service and operation not in UNRECORDED:
                event = Event.SERVICE_CALL
            else:
                return
        path_ids: dict[str, Any] = request.scope.get("path_params", {})
        self._recorder.record(
            event,
            result,
            notes.actor,
            operation=operation,
            on_behalf_of=notes.on_behalf_of,
            address=lambda: client_address(request, self._trusted),
            request_id=request_id,
            user_id=_id_in(path_ids, "user_id") if notes.user_id is None else notes.user_id,
            chat_id=_id_in(path_ids, "chat_id") if notes.chat_id is None else notes.chat_id,
            facts={**notes.facts, "status": status},
        )

    def _request_id(self, request: Request) -> str:
        given = request.headers.get(HEADER, "") if self._trusted else ""
        return facts.clean(given, MAX_REQUEST_ID) if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def operation_of(scope: Scope) -> str:
    """The method and the route; without the route if the request was rejected before, or the URL is unknown."""
    route = scope.get("route")
    return _operation(scope.get("method", "GET"), "" if route is None else route.path)  # a handshake has no method


@lru_cache(maxsize=512)
def _operation(method: str, path: str) -> str:
    method = "GET" if method == "HEAD" else facts.clean(method, 20)
    return f"{method} {_CONVERTOR.sub('}', path)}".rstrip()[:MAX_OPERATION]


def _id_in(parameters: dict[str, Any], name: str) -> int | None:
    text = str(parameters.get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    number = int(text)
    return number if number <= MAX_ID else None
