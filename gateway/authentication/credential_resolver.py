"""Resolves a credential to its user: a one-use ticket, a token of ours, or a token of the external issuer."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from auth.tokens.access_tokens import Claims, GuestClaims, InvalidToken, KeysUnavailable, Verifier
from auth.tokens.external_issuer import ExternalIssuerVerifier, OutsideClaims
from gateway.http.problems import Problem, banned, unauthorized, unavailable
from gateway.interfaces.revocations import RevocationCheck
from gateway.interfaces.tickets import Tickets, is_ticket
from gateway.protocol.codes import Close
from httpapi.audit.facts import note
from storage.auth_records import Credential, name_digest
from storage.errors import ErasedIdentity, StorageUnavailable
from storage.profile_records import ClaimedProfile
from storage.records import Person

T = TypeVar("T")

USER_IS_GONE: Final = "The token's user does not exist any more."


class People(Protocol):
    """Users by id. Implemented in `storage.repositories.auth.accounts`."""

    async def by_id(self, user_id: int) -> Person | None:
        """The user; None if it does not exist any more.

        Raises: StorageUnavailable.
        """
        ...


class IdentityStore(Protocol):
    """Users with an identity at an external issuer. Implemented in `storage.repositories.identities`."""

    async def person(self, issuer: str, subject: str, name: str, claimed: ClaimedProfile | None = None) -> Person:
        """The user with this identity, always the same one; created by the first call.

        The username of a new user may begin with `name`; names and picture follow what a token has
        `claimed`; None: there is no token, but a service names the user.
        Raises: StorageUnavailable, ErasedIdentity if the user was erased after the token was issued.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """The external issuer: the verifier of its tokens, and the mapping of its identities to users."""

    verifier: ExternalIssuerVerifier
    identities: IdentityStore


class VerifiedCredential(Struct, frozen=True, gc=False):
    """A valid credential and its user."""

    user_id: int
    credential: Credential
    person: Person | None = None
    """The user, if resolving the credential loaded it; None does not say whether the user still exists."""


class Principal(Struct, frozen=True, gc=False):
    """An existing user, and its credential."""

    person: Person
    credential: Credential


BeforeQuery = Callable[[int | None], Awaitable[None]]
"""Awaited before the first query: with the user's id, or None where only a query finds it. May raise Problem."""


async def _no_more(_: int | None) -> None:
    """Checks nothing more."""


class CredentialResolver:
    """Resolves every kind of credential. The credential itself shows its kind; only the kind's verifier accepts it."""

    def __init__(
        self,
        verifier: Verifier,
        people: People,
        tickets: Tickets,
        revocations: RevocationCheck,
        outside: ExternalIssuer | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._verifier = verifier
        self._people = people
        self._tickets = tickets
        self._outside = outside
        self._revocations = revocations

    async def claim(self, credential: str, before_query: BeforeQuery = _no_more) -> VerifiedCredential:
        """Verify the credential, and that it is not revoked; a ticket is consumed.

        Raises: the errors of `before_query`, Problem (401, 403 the user is banned, 503), StorageUnavailable,
        RedisUnavailable.
        """
        if is_ticket(credential):
            claim = await self._redeemed(credential)
        else:
            claim = await _checked(self._verified(credential, before_query))
        if refusal := self._revocations.refusal(claim.credential):
            is_banned = refusal.code is Close.BANNED
            note(user_id=claim.user_id, reason="banned" if is_banned else "revoked")
            raise banned(refusal.reason) if is_banned else unauthorized(f"{refusal.reason}.")
        await before_query(claim.user_id)
        return claim

    async def bearer(self, claim: VerifiedCredential) -> Principal:
        """The user of a verified credential.

        Raises: Problem (401 the user does not exist any more), StorageUnavailable.
        """
        person = claim.person or await self._people.by_id(claim.user_id)
        if person is None:
            raise unauthorized(USER_IS_GONE)
        return Principal(person, claim.credential)

    async def user(self, credential: str, before_query: BeforeQuery = _no_more) -> Principal:
        """Verify the credential and load its user.

        Raises: the errors of `claim` and `bearer`.
        """
        return await self.bearer(await self.claim(credential, before_query))

    async def renew(self, token: str) -> Credential | None:
        """What a token says about itself; None if it is not accepted, as no ticket is.

        Raises: StorageUnavailable, also if the keys cannot be read.
        """
        if is_ticket(token):
            return None
        try:
            claim = await self.claim(token)
        except Problem as problem:
            if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
                raise StorageUnavailable from None
            return None
        return claim.credential

    async def guest(self, token: str) -> GuestClaims:
        """The claims of a guest token.

        Raises: Problem (401, 503).
        """
        return await _checked(self._verifier.verify_guest(token))

    async def _redeemed(self, ticket: str) -> VerifiedCredential:
        redeemed = await self._tickets.redeem(ticket)
        if redeemed is None:
            raise unauthorized("The ticket is unknown, too old, or was used before.")
        if redeemed.expires_at <= self._now():
            raise unauthorized("The token that the ticket was bought with has expired.")
        assert redeemed.user_id is not None, "only users are issued tickets"  # noqa: S101
        return VerifiedCredential(redeemed.user_id, redeemed)

    async def _verified(self, token: str, before_query: BeforeQuery) -> VerifiedCredential:
        if self._outside is not None and not self._verifier.is_ours(token):
            claims = await self._outside.verifier.verify(token)
            await before_query(None)
            who = claims.issuer, claims.subject, claims.name
            try:
                person = await self._outside.identities.person(*who, claims.profile)
            except ErasedIdentity:
                raise unauthorized(USER_IS_GONE) from None
            return VerifiedCredential(person.id, _credential(person.id, claims), person)
        ours = await self._verifier.verify(token)
        return VerifiedCredential(ours.user_id, _credential(ours.user_id, ours))


def _credential(user_id: int, claims: Claims | OutsideClaims) -> Credential:
    session_id = claims.session_id if isinstance(claims, Claims) else ""
    digests = name_digest(claims.jti), name_digest(session_id)
    return Credential(user_id, claims.expires_at, claims.issued_at, *digests, claims.authenticated_at)


async def _checked(verification: Awaitable[T]) -> T:
    try:
        return await verification
    except InvalidToken as error:
        raise unauthorized(f"The token is not valid: {error.reason}.") from None
    except KeysUnavailable:
        raise unavailable() from None
