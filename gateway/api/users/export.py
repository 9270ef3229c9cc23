"""What is stored of a user over HTTP, as lines of JSON (NDJSON), for the user and for services."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from gateway.api.schemas import NO_STORE
from gateway.api.users.users import ProfileStore, profile_object
from gateway.authentication.authenticator import Authenticator
from gateway.http.parameters import path_id
from gateway.http.problems import not_found
from httpapi.bounded_json import to_json
from httpapi.caller_turns import CallerTurns
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys
from storage.errors import StorageUnavailable
from storage.records import Profile

AT_ONCE: Final = 4
"""Exports that a node writes at once; one of each user."""
MOST_S: Final = 900.0
"""After which an export is cut off: its reader is too slow."""
PAUSE_S: Final = 0.01
"""Between two pages, which leaves the database to others."""
_NDJSON: Final = "application/x-ndjson"
_DETAILS: Final = (
    "NDJSON: each line is an object with a `type`: `profile`, then `session`, `block`, `chat`, and after each chat its "
    "`message` and `reaction` events by the user, in no particular order. The last line is `end` with the number of "
    "`lines` before it: without it the export was cut off. A user has one export at a time, and a node four (429)."
)

logger = logging.getLogger("gateway.http")


class ExportStore(Protocol):
    """Implemented by `storage.repositories.users.exports`. Every method raises StorageUnavailable."""

    async def chats(self, user_id: int, after: int) -> list[dict[str, Any]]:
        """The next chats that the user is in or has left, by id."""
        ...

    async def events(self, user_id: int, chat_id: int, after: str) -> list[dict[str, Any]]:
        """The next events of the user in the chat, by client_msg_id."""
        ...

    async def blocks(self, user_id: int, after: int) -> list[int]:
        """The next users whom the user has blocked, by id."""
        ...

    async def sessions(self, user_id: int) -> Sequence[dict[str, Any]]:
        """The user's logins that can be renewed."""
        ...


class ExportRoutes:
    """`/api/v1/me/export` and `/api/v1/users/{user_id}/export`."""

    def __init__(
        self, identity: Authenticator, service_keys: ServiceKeys, profiles: ProfileStore, exports: ExportStore
    ) -> None:
        self._identity = identity
        self._service_keys = service_keys
        self._profiles = profiles
        self._exports = exports
        self._turns = CallerTurns(at_once=1, per_caller=1, total=AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/me/export", GET=self._own),
            api_resource("/api/v1/users/{user_id}/export", GET=self._of_user),
        ]

    @operation(
        "Export what is stored of the caller.",
        Audience.USER,
        {200: _NDJSON},
        {429: "rate_limited"},
        details=_DETAILS,
    )
    async def _own(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        return await self._export(caller.person.id)

    @operation(
        "Export what is stored of a user.",
        Audience.SERVICE,
        {200: _NDJSON},
        {404: "not_found", 429: "rate_limited"},
        details=_DETAILS,
        scope=Scope.USERS,
    )
    async def _of_user(self, request: Request) -> Response:
        self._service_keys.require(request, self._of_user)
        return await self._export(path_id(request, "user_id"))

    async def _export(self, user_id: int) -> Response:
        found = await self._profiles.by_ids([user_id])
        if not found:
            raise not_found()
        return _Export(self._lines(found[0]), self._turns, user_id)

    async def _lines(self, profile: Profile) -> AsyncIterator[bytes]:
        """The lines, page by page; without the last one if the database fails."""
        count = 0
        try:
            async with asyncio.timeout(MOST_S):
                async for lines in self._pages(profile):
                    count += len(lines)
                    yield b"".join(lines)
                    await asyncio.sleep(PAUSE_S)
        except (StorageUnavailable, TimeoutError) as error:
            logger.warning("export_cut_off", extra={"fields": {"error": type(error).__name__}})
            return
        yield _line("end", {"lines": count})

    async def _pages(self, profile: Profile) -> AsyncIterator[list[bytes]]:
        user_id = profile.person.id
        yield [_line("profile", {**profile_object(profile)})]
        yield [_line("session", session) for session in await self._exports.sessions(user_id)]
        blocked = 0
        while ids := await self._exports.blocks(user_id, blocked):
            yield [_line("block", {"user_id": blocked_id}) for blocked_id in ids]
            blocked = ids[-1]
        last = 0
        while chats := await self._exports.chats(user_id, last):
            last = chats[-1]["id"]
            for chat in chats:
                yield [_line("chat", chat)]
                after = ""
                while events := await self._exports.events(user_id, chat["id"], after):
                    after = events[-1]["client_msg_id"]
                    yield [line for event in events if (line := _event_line(event))]


class _Export(StreamingResponse):
    """Holds a turn of the user while it is written."""

    def __init__(self, lines: AsyncIterator[bytes], turns: CallerTurns, user_id: int) -> None:
        super().__init__(lines, HTTPStatus.OK, NO_STORE, media_type=_NDJSON)
        self._turns = turns
        self._user_id = user_id

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Write it.

        Raises: TooManyAtOnce, before anything is written.
        """
        async with self._turns.turn(self._user_id):
            await super().__call__(scope, receive, send)


def _event_line(event: dict[str, Any]) -> bytes | None:
    """A message or a reaction; edits and deletions are in the present state of their messages."""
    common = {name: event[name] for name in ("chat_id", "message_id", "seq", "client_msg_id")}
    match event["kind"]:
        case "message":
            shown = {name: event[name] for name in ("text", "is_edited", "is_deleted")}
            if event["data"] is not None:
                shown["data"] = msgspec.json.decode(event["data"])
            return _line("message", common | shown | {"timestamp": event["created_at"]})
        case "reaction" if event["reaction"] is not None:
            sign, key = event["reaction"][:1], event["reaction"][1:]
            return _line("reaction", common | {"key": key, "removed": sign == "-", "timestamp": event["created_at"]})
    return None


def _line(kind: str, fields: dict[str, Any]) -> bytes:
    return to_json({"type": kind} | fields) + b"\n"
