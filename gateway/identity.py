"""Who is calling: from a token to a user of ours."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from starlette.requests import HTTPConnection

from auth.tokens import InvalidToken, KeysUnavailable, Verifier
from gateway.credentials import Ambiguous, Credentials, NoCredentials, find_credentials
from gateway.origins import Origins
from gateway.problems import Problem, unauthorized, unavailable
from storage.records import Person


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
                return await self._verified(found)

    async def _verified(self, credentials: Credentials) -> Caller:
        try:
            claims = await self._verifier.verify(credentials.token)
        except InvalidToken as error:
            raise unauthorized(f"The token is not valid: {error.reason}.") from None
        except KeysUnavailable:
            raise unavailable() from None
        person = await self._people.by_id(claims.user_id)
        if person is None:
            raise unauthorized("The token's user does not exist any more.")
        return Caller(person, claims.expires_at, credentials.subprotocol)
