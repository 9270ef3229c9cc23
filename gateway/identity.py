"""Who is calling: which credential counts, whether its page may call, and whose it is."""

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import HTTPConnection

from gateway.bearers import Bearers
from gateway.credentials import Ambiguous, Credentials, NoCredentials, find_credentials
from gateway.origins import Origins
from gateway.problems import Problem, unauthorized
from storage.records import Person


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
    """Whoever calls without a valid credential. The subprotocol is answered all the same: a browser insists."""

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
        if credentials is None:
            raise _token_needed()
        bearer = await self._bearers.user(credentials.token)
        return Caller(bearer.person, bearer.expires_at, credentials.subprotocol)

    async def anyone(self, connection: HTTPConnection) -> Caller | Anonymous:
        """The user who calls; without a token, or with a bad one, nobody knows who (seed 000).

        A foreign page is refused, and an outage is one: a user must not become anonymous by it. Two different tokens
        are a mistake that the client is told of, as everywhere.

        Raises: Problem (400 two tokens, 403 a foreign page, 503), StorageUnavailable, RedisUnavailable.
        """
        credentials = self._credentials(connection)
        if credentials is None:
            return Anonymous(None)
        try:
            bearer = await self._bearers.user(credentials.token)
        except Problem as problem:
            if problem.status is not HTTPStatus.UNAUTHORIZED:
                raise
            return Anonymous(credentials.subprotocol)
        return Caller(bearer.person, bearer.expires_at, credentials.subprotocol)

    async def guest(self, connection: HTTPConnection) -> Guest:
        """Whoever calls with a guest token, found where any token may stand; which room they want is not looked at.

        Raises: Problem (400 two tokens, 401, 403 a foreign page, 503).
        """
        credentials = self._credentials(connection)
        if credentials is None:
            raise _token_needed()
        claims = await self._bearers.guest(credentials.token)
        return Guest(claims.username, claims.email, claims.room_id, claims.expires_at, credentials.subprotocol)

    def _credentials(self, connection: HTTPConnection) -> Credentials | None:
        """The credential that counts, if there is any, of a page that may call.

        Raises: Problem (400, 403).
        """
        found = find_credentials(connection)
        if self._origins.refuses(connection, found if isinstance(found, Credentials) else None):
            raise ForeignPage
        match found:
            case Ambiguous():
                raise Problem(HTTPStatus.BAD_REQUEST, "ambiguous_token", "Two different tokens were given.")
            case NoCredentials():
                return None
            case Credentials():
                return found


def _token_needed() -> Problem:
    return unauthorized("A token is needed.")
