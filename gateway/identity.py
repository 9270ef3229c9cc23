"""Who is calling: from a token to a user of ours."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, TypeVar

from starlette.requests import HTTPConnection

from auth.tokens import InvalidToken, KeysUnavailable, Verifier
from gateway.credentials import Ambiguous, Credentials, NoCredentials, find_credentials
from gateway.origins import Origins
from gateway.problems import Problem, unauthorized, unavailable
from storage.records import Person

C = TypeVar("C")


class People(Protocol):
    """Users by id. `storage.accounts` meets it."""

    async def by_id(self, user_id: int) -> Person | None:
        """The user, if there still is one.

        Raises: StorageUnavailable.
        """
        ...


class ForeignPage(Problem):
    """A page of another origin is calling: it learns nothing, and a socket is refused before accept."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, "forbidden_origin", "Pages of this origin may not call.")


@dataclass(frozen=True, slots=True)
class Caller:
    """A user with a valid token, which expires at `expires_at` (Unix seconds)."""

    person: Person
    expires_at: int
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

    def __init__(self, verifier: Verifier, people: People, origins: Origins) -> None:
        self._verifier = verifier
        self._people = people
        self._origins = origins

    async def caller(self, connection: HTTPConnection) -> Caller:
        """The user who calls.

        Raises: Problem (400 two tokens, 401, 403 a foreign page, 503), StorageUnavailable.
        """
        credentials = self._credentials(connection)
        claims = await _checked(self._verifier.verify, credentials)
        person = await self._people.by_id(claims.user_id)
        if person is None:
            raise unauthorized("The token's user does not exist any more.")
        return Caller(person, claims.expires_at, credentials.subprotocol)

    async def guest(self, connection: HTTPConnection) -> Guest:
        """Whoever calls with a guest token, found where any token may stand; which room they want is not looked at.

        Raises: Problem (400 two tokens, 401, 403 a foreign page, 503).
        """
        credentials = self._credentials(connection)
        claims = await _checked(self._verifier.verify_guest, credentials)
        return Guest(claims.username, claims.email, claims.room_id, claims.expires_at, credentials.subprotocol)

    def _credentials(self, connection: HTTPConnection) -> Credentials:
        found = find_credentials(connection)
        credentials = found if isinstance(found, Credentials) else None
        if self._origins.refuses(connection, credentials):
            raise ForeignPage
        match found:
            case Ambiguous():
                raise Problem(HTTPStatus.BAD_REQUEST, "ambiguous_token", "Two different tokens were given.")
            case NoCredentials():
                raise unauthorized("A token is needed.")
            case Credentials():
                return found


async def _checked(verify: Callable[[str], Awaitable[C]], credentials: Credentials) -> C:
    """What a token says, once it is verified.

    Raises: Problem (401, 503).
    """
    try:
        return await verify(credentials.token)
    except InvalidToken as error:
        raise unauthorized(f"The token is not valid: {error.reason}.") from None
    except KeysUnavailable:
        raise unavailable() from None
