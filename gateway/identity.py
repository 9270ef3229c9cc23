"""Who is calling: which credential counts, whether its page may call, and whose it is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import HTTPConnection

from gateway.bearers import Bearers
from gateway.credentials import SUBPROTOCOL, Ambiguous, Credentials, NoCredentials, find_credentials
from gateway.origins import Origins
from gateway.problems import Problem, forbidden, unauthorized
from storage.records import Admission, Person

Admit = Callable[[int], Awaitable[Admission | None]]
"""The place of the user with this id, if they have one."""


class ForeignPage(Problem):
    """A page of another origin is calling: it learns nothing, and a socket is refused before accept."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, "forbidden_origin", "Pages of this origin may not call.")


@dataclass(frozen=True, slots=True)
class Caller:
    """A user with a valid credential, which expires at `expires_at` (Unix seconds)."""

    person: Person
    expires_at: int
    subprotocol: str | None


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Whoever calls without a valid credential.

    The subprotocol is answered all the same, if it is offered: else a browser would fail the handshake.
    """

    subprotocol: str | None


@dataclass(frozen=True, slots=True)
class Guest:
    """Whoever holds a valid guest token: who they say they are, and the one room that is open to them until then."""

    username: str
    email: str
    room_id: str
    expires_at: int
    subprotocol: str | None


class Identity:
    """Finds the caller of a request or handshake."""

    def __init__(self, bearers: Bearers, origins: Origins) -> None:
        self._bearers = bearers
        self._origins = origins

    async def caller(self, connection: HTTPConnection) -> Caller:
        """The user who calls.

        Raises: Problem (400 two tokens, 401, 403 a foreign page, 503), StorageUnavailable, RedisUnavailable.
        """
        credentials = self._credentials(connection)
        bearer = await self._bearers.user(credentials.token)
        return Caller(bearer.person, bearer.expires_at, credentials.subprotocol)

    async def member(self, connection: HTTPConnection, admit: Admit) -> tuple[Caller, Admission]:
        """The user who calls, and their place in a chat, which one question answers as a rule.

        Raises: Problem (as `caller`; 403 no such chat or place), StorageUnavailable, RedisUnavailable.
        """
        credentials = self._credentials(connection)
        claim = await self._bearers.claim(credentials.token)
        admission = await admit(claim.user_id)
        if admission is None:
            await self._bearers.bearer(claim)  # 401 comes first
            raise forbidden("You are not a member of this chat, or there is no such chat.")
        return Caller(admission.member.person, claim.expires_at, credentials.subprotocol), admission

    async def anyone(self, connection: HTTPConnection) -> Caller | Anonymous:
        """The user who calls; without a token, or with a bad one, nobody knows who (seed 000).

        A foreign page is refused, and an outage is one: a user must not become anonymous by it. Two different tokens
        are a mistake that the client is told of, as everywhere.

        Raises: Problem (400 two tokens, 403 a foreign page, 503), StorageUnavailable, RedisUnavailable.
        """
        try:
            return await self.caller(connection)
        except Problem as problem:
            if problem.status is not HTTPStatus.UNAUTHORIZED:
                raise
        return Anonymous(SUBPROTOCOL if SUBPROTOCOL in connection.scope.get("subprotocols", []) else None)

    async def guest(self, connection: HTTPConnection) -> Guest:
        """Whoever calls with a guest token, found where any token may stand; which room they want is not looked at.

        Raises: Problem (400 two tokens, 401, 403 a foreign page, 503).
        """
        credentials = self._credentials(connection)
        claims = await self._bearers.guest(credentials.token)
        return Guest(claims.username, claims.email, claims.room_id, claims.expires_at, credentials.subprotocol)

    def _credentials(self, connection: HTTPConnection) -> Credentials:
        """The credential that counts, of a page that may call.

        Raises: Problem (400, 401 none, 403).
        """
        found = find_credentials(connection)
        if self._origins.refuses(connection, found if isinstance(found, Credentials) else None):
            raise ForeignPage
        match found:
            case Ambiguous():
                raise Problem(HTTPStatus.BAD_REQUEST, "ambiguous_token", "Two different tokens were given.")
            case NoCredentials():
                raise unauthorized("A token is needed.")
            case Credentials():
                return found
