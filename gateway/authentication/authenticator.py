"""Authenticates requests and handshakes: selects the credential, checks the origin, and finds the user."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from msgspec import Struct
from starlette.requests import HTTPConnection

from gateway.authentication.credential_resolver import CredentialResolver
from gateway.authentication.credentials import Ambiguous, Credentials, NoCredentials, find_credentials, offered_bearer
from gateway.authentication.origins import Origins
from gateway.http.problems import Problem, forbidden, unauthorized
from httpapi.audit.facts import note_user
from httpapi.errors import forbidden_origin
from storage.auth_records import Credential
from storage.records import Admission, Person

T = TypeVar("T")

Admit = Callable[[int], Awaitable[Admission | None]]
"""Returns the membership of the user with this id in a chat; None if there is none."""

OnCaller = Callable[[HTTPConnection, int | None], Awaitable[None]]
"""May raise Problem, to reject the caller."""


async def _no_more(_: HTTPConnection, __: int | None) -> None:
    """Accepts every caller."""


class Caller(Struct, frozen=True, gc=False):
    """A user with a valid credential."""

    person: Person
    credential: Credential
    subprotocol: str | None


@dataclass(frozen=True, slots=True)
class Anonymous:
    """A caller without a valid credential.

    If the subprotocol is offered, the response still selects it: otherwise a browser would fail the handshake.
    """

    subprotocol: str | None


@dataclass(frozen=True, slots=True)
class Guest:
    """A caller with a valid guest token: the name and address in it, and the one room that it opens.

    The token expires at `expires_at` (Unix seconds).
    """

    username: str
    email: str
    room_id: str
    expires_at: int
    subprotocol: str | None


class Authenticator:
    """Finds the caller of a request or handshake."""

    def __init__(
        self,
        bearers: CredentialResolver,
        origins: Origins,
        on_caller: OnCaller = _no_more,
    ) -> None:
        """`on_caller` is awaited before the first query: with the user's id, or None for others and unknown ids."""
        self._bearers = bearers
        self._origins = origins
        self._on_caller = on_caller

    async def caller(self, connection: HTTPConnection) -> Caller:
        """The user who calls.

        Raises: Problem (400 two tokens, 401, 403 origin not allowed, 503), StorageUnavailable, RedisUnavailable.
        """
        credentials = self._credentials(connection)
        on_caller = partial(self._on_caller, connection)
        bearer = await _first_valid(credentials, lambda token: self._bearers.user(token, on_caller))
        note_user(bearer.person.id)
        return Caller(bearer.person, bearer.credential, credentials.subprotocol)

    async def member(self, connection: HTTPConnection, admit: Admit) -> tuple[Caller, Admission]:
        """The user who calls, and their membership in a chat; normally one query finds both.

        Raises: Problem (as `caller`; 403 no such chat or not a member), StorageUnavailable, RedisUnavailable.
        """
        credentials = self._credentials(connection)
        on_caller = partial(self._on_caller, connection)
        claim = await _first_valid(credentials, lambda token: self._bearers.claim(token, on_caller))
        note_user(claim.user_id)
        admission = await admit(claim.user_id)
        if admission is None:
            await self._bearers.bearer(claim)  # a 401 takes precedence
            raise forbidden("You are not a member of this chat, or there is no such chat.")
        return Caller(admission.member.person, claim.credential, credentials.subprotocol), admission

    async def anyone(self, connection: HTTPConnection) -> Caller | Anonymous:
        """The user who calls, or Anonymous for a missing or invalid token (seed 000).

        An origin that is not allowed is rejected. An outage raises an error, so that no user becomes anonymous because
        of it. Two different tokens are an error of the client, as for every other method.

        Raises: Problem (400 two tokens, 403 origin not allowed, 503), StorageUnavailable, RedisUnavailable.
        """
        try:
            return await self.caller(connection)
        except Problem as problem:
            if problem.status is not HTTPStatus.UNAUTHORIZED:
                raise
        await self._on_caller(connection, None)
        return Anonymous(offered_bearer(connection))

    async def guest(self, connection: HTTPConnection) -> Guest:
        """The guest who calls. Guest tokens are accepted in the same places as any token; the room is not checked here.

        Raises: Problem (400 two tokens, 401, 403 origin not allowed, 503).
        """
        credentials = self._credentials(connection)
        claims = await _first_valid(credentials, self._bearers.guest)
        await self._on_caller(connection, None)
        return Guest(claims.username, claims.email, claims.room_id, claims.expires_at, credentials.subprotocol)

    def _credentials(self, connection: HTTPConnection) -> Credentials:
        """The credential that counts, after the check of the origin.

        Raises: Problem (400 two tokens, 401 no token, 403 origin not allowed).
        """
        credentials = find_credentials(connection)
        if self._origins.refuses(connection, credentials if isinstance(credentials, Credentials) else None):
            raise forbidden_origin()
        match credentials:
            case Ambiguous():
                raise Problem(HTTPStatus.BAD_REQUEST, "ambiguous_token", "Two different tokens were given.")
            case NoCredentials():
                raise unauthorized("A token is needed.")
            case Credentials():
                return credentials


async def _first_valid(credentials: Credentials, check: Callable[[str], Awaitable[T]]) -> T:
    """The result of `check` for the first valid token.

    Raises: the errors of `check`; if no token is valid, the 401 of the first one.
    """
    rejections: list[Problem] = []
    for token in credentials.candidates:
        try:
            return await check(token)
        except Problem as problem:
            if problem.status is not HTTPStatus.UNAUTHORIZED:
                raise
            rejections.append(problem)
    raise rejections[0]
