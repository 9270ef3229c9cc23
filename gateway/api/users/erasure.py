"""The erasure of users over HTTP, by services and by the users themselves."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Protocol, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import answer
from gateway.authentication.authenticator import Authenticator
from gateway.http.parameters import path_id
from gateway.http.problems import Problem, invalid_field, not_found
from httpapi.audit.facts import note
from httpapi.operation import Audience, Parameter, Scope, operation
from httpapi.resource import Handler, api_resource
from httpapi.service_keys import ServiceKeys
from storage.profile_records import Erasure, Messages

LOGIN_AGE_S: Final = 600
"""Users erase themselves with a token of a login that is at most so old: an open page or a stolen token is no proof."""

_MESSAGES: Final = Parameter("messages", "keep or erase", {"type": "string", "enum": list(Messages)})


class ErasureStore(Protocol):
    """Implemented by `storage.repositories.users.erasures`. Every method raises StorageUnavailable."""

    async def request(self, user_id: int, messages: Messages) -> Erasure | None:
        """Delete the user, and leave the rest to the nodes; None if there is no such user."""
        ...

    async def of(self, user_id: int) -> Erasure | None:
        """The erasure of this user; None if it was never requested."""
        ...


class ErasureObject(TypedDict):
    """How far an erasure has come; `finished_at` is null until everything is removed."""

    user_id: int
    messages: Messages
    requested_at: datetime
    erased_messages: int
    finished_at: datetime | None


class ErasureRoutes:
    """`/api/v1/users/{user_id}/erasure`, and `DELETE` of a user. `on_requested` is called after each request."""

    def __init__(
        self,
        identity: Authenticator,
        service_keys: ServiceKeys,
        erasures: ErasureStore,
        on_requested: Callable[[], None] = lambda: None,
    ) -> None:
        self._identity = identity
        self._service_keys = service_keys
        self._erasures = erasures
        self._on_requested = on_requested

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [api_resource("/api/v1/users/{user_id}/erasure", GET=self._show)]

    @property
    def erase(self) -> Handler:
        """The `DELETE` of a user, whose route has other methods too."""
        return self._erase

    @property
    def erase_caller(self) -> Handler:
        """The `DELETE` of the caller, whose route has other methods too."""
        return self._erase_caller

    @operation(
        "Erase a user: profile, credentials, memberships, and the messages on request.",
        Audience.SERVICE,
        {202: ErasureObject},
        {404: "not_found"},
        parameters=(_MESSAGES,),
        details="At once the user has no name and no credentials, and no token of theirs is accepted; open sockets end "
        "within 5 s on every node. Memberships, read positions, blocks and transcripts go within seconds to minutes. "
        "With `messages=erase` every message of theirs is deleted, each by an event with a seq of its own; with "
        "`keep`, the default, they stay as those of a deleted user. Repeated, it changes nothing; kept messages may "
        "be erased later. A new token of the external issuer makes a new user.",
        scope=Scope.USERS,
    )
    async def _erase(self, request: Request) -> Response:
        self._service_keys.require(request, self._erase)
        return await self._request(path_id(request, "user_id"), request)

    @operation(
        "Erase the caller: profile, credentials, memberships, and the messages on request.",
        Audience.USER,
        {202: ErasureObject},
        {403: "login_required"},
        parameters=(_MESSAGES,),
        details="As a service erases a user; it cannot be undone. The token must come from a login of the last ten "
        "minutes (`auth_time`; an external issuer's token without it counts from its `iat`), else it is 403 "
        "`login_required`: let the user log in again. One-use tickets do not count.",
    )
    async def _erase_caller(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        if time.time() - caller.credential.authenticated_at > LOGIN_AGE_S:
            note(reason="login_required")
            raise Problem(HTTPStatus.FORBIDDEN, "login_required", "Log in again to do this.")
        return await self._request(caller.person.id, request)

    async def _request(self, user_id: int, request: Request) -> Response:
        wanted = request.query_params.get(_MESSAGES.name, Messages.KEEP)
        if wanted not in list(Messages):
            raise invalid_field("messages is keep or erase.", _MESSAGES.name)
        note(kind=wanted, user_id=user_id)
        erasure = await self._erasures.request(user_id, Messages(wanted))
        if erasure is None:
            raise not_found()
        self._on_requested()
        return answer(_erasure_object(erasure), HTTPStatus.ACCEPTED)

    @operation(
        "Get how far the erasure of a user has come.",
        Audience.SERVICE,
        {200: ErasureObject},
        {404: "not_found"},
        scope=Scope.USERS,
    )
    async def _show(self, request: Request) -> Response:
        self._service_keys.require(request, self._show)
        erasure = await self._erasures.of(path_id(request, "user_id"))
        if erasure is None:
            raise not_found()
        return answer(_erasure_object(erasure))


def _erasure_object(erasure: Erasure) -> ErasureObject:
    return {
        "user_id": erasure.user_id,
        "messages": erasure.messages,
        "requested_at": datetime.fromtimestamp(erasure.requested_at, UTC),
        "erased_messages": erasure.erased_messages,
        "finished_at": None if erasure.finished_at is None else datetime.fromtimestamp(erasure.finished_at, UTC),
    }
