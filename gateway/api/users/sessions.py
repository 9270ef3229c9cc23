"""The sessions of a user over HTTP, for other services: disconnect, revoke tokens, ban."""

import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import BanObject, answer
from gateway.authentication.credential_resolver import People
from gateway.http.parameters import MAX_LENGTH, path_id
from gateway.http.problems import invalid_field, not_found
from gateway.interfaces.revocations import RevocationLog
from gateway.node.user_sessions import UserSessions
from gateway.protocol.control import UserDisconnected
from gateway.protocol.ids import MAX_ID
from httpapi.audit.facts import note
from httpapi.body import read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys
from storage.auth_records import RevocationEntry

logger = logging.getLogger("gateway.http")

MAX_REASON: Final = 500
"""Characters of the reason of a ban."""
_TEXT: Final = r"^[^\x00]*$"


class DisconnectBody(Struct, forbid_unknown_fields=True):
    """Which sockets of the user to close: those with a client id, those of one chat, or all."""

    client_id: Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH)] | None = None
    chat_id: Annotated[int, Meta(ge=1, le=MAX_ID)] | None = None
    reconnect: bool = False


class RevokeBody(Struct, forbid_unknown_fields=True):
    """Which tokens of the user to revoke: one by its `jti`, those issued before a time, or all that exist."""

    jti: Annotated[str, Meta(min_length=1, max_length=1024, pattern=_TEXT)] | None = None
    issued_before: Annotated[datetime, Meta(tz=True)] | None = None


class BanBody(Struct, forbid_unknown_fields=True):
    """A ban, until a time or until it is lifted. The user never sees the reason."""

    until: Annotated[datetime, Meta(tz=True)] | None = None
    reason: Annotated[str, Meta(max_length=MAX_REASON, pattern=_TEXT)] = ""


class UserSessionRoutes:
    """`/api/v1/users/{user_id}/disconnect`, `…/revoke` and `…/ban`."""

    def __init__(
        self, service_keys: ServiceKeys, people: People, revocations: RevocationLog, sessions: UserSessions
    ) -> None:
        self._service_keys = service_keys
        self._people = people
        self._revocations = revocations
        self._sessions = sessions

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/users/{user_id}/disconnect", POST=self._disconnect),
            api_resource("/api/v1/users/{user_id}/revoke", POST=self._revoke),
            api_resource("/api/v1/users/{user_id}/ban", GET=self._show, PUT=self._ban, DELETE=self._unban),
        ]

    @operation(
        "Close sockets of a user, on every node.",
        Audience.SERVICE,
        {202: None},
        {404: "not_found"},
        body=DisconnectBody,
        example={"reconnect": True},
        details="With `client_id` only the multi-chat sockets with this client id, with `chat_id` only the sockets of "
        "this chat alone, without either all. The close code is 4000 with `reconnect`, else 4403. The user may connect "
        "again: revoke the tokens or ban the user to prevent it. Nodes that Redis does not reach close nothing.",
        scope=Scope.MODERATE,
    )
    async def _disconnect(self, request: Request) -> Response:
        service = self._service_keys.require(request, self._disconnect).name
        user_id = await self._user_id(request)
        body = await read_json(request, DisconnectBody)
        note(client_id=body.client_id, chat_id=body.chat_id)
        if body.client_id is not None and body.chat_id is not None:
            raise invalid_field("Either client_id or chat_id, not both.", "chat_id")
        self._sessions.disconnect(UserDisconnected(user_id, body.client_id, body.chat_id, body.reconnect))
        _log("user_disconnected", user_id, service)
        return Response(status_code=HTTPStatus.ACCEPTED)

    @operation(
        "Revoke tokens of a user: one by its jti, those issued before a time, or all so far.",
        Audience.SERVICE,
        {202: None},
        {404: "not_found"},
        body=RevokeBody,
        example={},
        details="HTTP requests and handshakes with such a token get 401 at once, and its open sockets are closed with "
        "4401: within 5 s on every node, also while Redis is down. A jti is remembered for 30 days. A token without "
        "`iat` counts as issued before any time.",
        scope=Scope.MODERATE,
    )
    async def _revoke(self, request: Request) -> Response:
        service = self._service_keys.require(request, self._revoke).name
        user_id = await self._user_id(request)
        body = await read_json(request, RevokeBody)
        note(jti=body.jti)
        if body.jti is not None and body.issued_before is not None:
            raise invalid_field("Either jti or issued_before, not both.", "jti")
        if body.jti is not None:
            await self._revocations.revoke_token(user_id, body.jti)
        else:
            moment = None if body.issued_before is None else _seconds(body.issued_before, "issued_before")
            note(issued_before=moment)
            await self._revocations.revoke_issued_before(user_id, moment)
        self._sessions.revoked()
        _log("tokens_revoked", user_id, service)
        return Response(status_code=HTTPStatus.ACCEPTED)

    @operation(
        "Get the ban of a user; 404 if the user is not banned.",
        Audience.SERVICE,
        {200: BanObject},
        {404: "not_found"},
        scope=Scope.MODERATE,
    )
    async def _show(self, request: Request) -> Response:
        self._service_keys.require(request, self._show)
        ban = await self._revocations.ban_of(path_id(request, "user_id"))
        if ban is None:
            raise not_found()
        return answer(_ban_object(ban))

    @operation(
        "Ban a user, until a time or until the ban is lifted; it replaces an earlier ban.",
        Audience.SERVICE,
        {200: BanObject},
        {404: "not_found"},
        body=BanBody,
        example={"until": "2030-01-01T00:00:00Z", "reason": "spam"},
        details="HTTP requests and handshakes of the user get 403 `banned` at once, and open sockets are closed with "
        "4408: within 5 s on every node, also while Redis is down.",
        scope=Scope.MODERATE,
    )
    async def _ban(self, request: Request) -> Response:
        service = self._service_keys.require(request, self._ban).name
        user_id = await self._user_id(request)
        body = await read_json(request, BanBody)
        until = None if body.until is None else _seconds(body.until, "until")
        if until is not None and until <= datetime.now(UTC).timestamp():
            raise invalid_field("A ban ends in the future.", "until")
        note(until=until, reason=body.reason)
        ban = await self._revocations.ban(user_id, until, body.reason)
        self._sessions.revoked()
        _log("user_banned", user_id, service)
        return answer(_ban_object(ban))

    @operation(
        "Lift the ban of a user, if there is one.",
        Audience.SERVICE,
        {204: None},
        {404: "not_found"},
        scope=Scope.MODERATE,
    )
    async def _unban(self, request: Request) -> Response:
        service = self._service_keys.require(request, self._unban).name
        user_id = await self._user_id(request)
        await self._revocations.unban(user_id)
        self._sessions.revoked()
        _log("user_unbanned", user_id, service)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _user_id(self, request: Request) -> int:
        """The id in the path, of an existing user.

        Raises: Problem (404), StorageUnavailable.
        """
        user_id = path_id(request, "user_id")
        if await self._people.by_id(user_id) is None:
            raise not_found()
        return user_id


def _seconds(moment: datetime, field: str) -> int:
    """In Unix seconds.

    Raises: Problem (422 for a time that no database stores).
    """
    seconds = int(moment.timestamp())
    if not 0 <= seconds <= MAX_ID:
        raise invalid_field("A time after 1970 is needed.", field)
    return seconds


def _ban_object(ban: RevocationEntry) -> BanObject:
    until = None if ban.moment is None else datetime.fromtimestamp(ban.moment, UTC)
    created_at = datetime.fromtimestamp(ban.created_at, UTC)
    return {"user_id": ban.user_id, "until": until, "reason": ban.reason, "created_at": created_at}


def _log(event: str, user_id: int, service: str) -> None:
    logger.info(event, extra={"fields": {"user_id": user_id, "service": service}})
