"""From a credential to the user whose it is: a one-use ticket, a token of ours, or one of the outside issuer's."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from auth.outside import OutsideVerifier
from auth.tokens import GuestClaims, InvalidToken, KeysUnavailable, Verifier
from gateway.problems import unauthorized, unavailable
from gateway.tickets import Tickets, is_ticket
from storage.records import Person

T = TypeVar("T")


class People(Protocol):
    """Users by id. `storage.accounts` meets it."""

    async def by_id(self, user_id: int) -> Person | None:
        """The user, if there still is one.

        Raises: StorageUnavailable.
        """
        ...


class Identities(Protocol):
    """Users whom another issuer vouches for. `storage.identities` meets it."""

    async def person(self, issuer: str, subject: str, name: str) -> Person:
        """The user with this identity, made at first sight and the same for ever; `name` may begin their username.

        Raises: StorageUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """The outside issuer: how its tokens are verified, and who its users are here."""

    verifier: OutsideVerifier
    identities: Identities


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a valid credential is, and until when it lets them in (Unix seconds)."""

    user_id: int
    expires_at: int
    person: Person | None = None
    """That user, where it took a look to find out; else there may be none any more."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A user, and until when the credential lets them in (Unix seconds)."""

    person: Person
    expires_at: int


class Bearers:
    """Knows every kind of credential. Which kind it is, it says itself; whether it is good, only its verifier."""

    def __init__(self, verifier: Verifier, people: People, tickets: Tickets, outside: Outside | None = None) -> None:
        self._verifier = verifier
        self._people = people
        self._tickets = tickets
        self._outside = outside

    async def claim(self, credential: str) -> Claim:
        """Whose it is; a ticket is used up.

        Raises: Problem (401, 503), StorageUnavailable, RedisUnavailable.
        """
        if is_ticket(credential):
            return await self._redeemed(credential)
        return await _checked(self._verified(credential))

    async def bearer(self, claim: Claim) -> Bearer:
        """The user.

        Raises: Problem (401), StorageUnavailable.
        """
        person = claim.person or await self._people.by_id(claim.user_id)
        if person is None:
            raise unauthorized("The token's user does not exist any more.")
        return Bearer(person, claim.expires_at)

    async def user(self, credential: str) -> Bearer:
        """Both.

        Raises: as they do.
        """
        return await self.bearer(await self.claim(credential))

    async def guest(self, token: str) -> GuestClaims:
        """What a guest token says.

        Raises: Problem (401, 503).
        """
        return await _checked(self._verifier.verify_guest(token))

    async def _redeemed(self, ticket: str) -> Claim:
        redeemed = await self._tickets.redeem(ticket)
        if redeemed is None:
            raise unauthorized("The ticket is unknown, too old, or was used before.")
        return Claim(redeemed.user_id, redeemed.expires_at)

    async def _verified(self, token: str) -> Claim:
        if self._outside is not None and not self._verifier.is_ours(token):
            claims = await self._outside.verifier.verify(token)
            person = await self._outside.identities.person(claims.issuer, claims.subject, claims.name)
            return Claim(person.id, claims.expires_at, person)
        ours = await self._verifier.verify(token)
        return Claim(ours.user_id, ours.expires_at)


async def _checked(verification: Awaitable[T]) -> T:
    try:
        return await verification
    except InvalidToken as error:
        raise unauthorized(f"The token is not valid: {error.reason}.") from None
    except KeysUnavailable:
        raise unavailable() from None
