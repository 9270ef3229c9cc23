"""Who an HTTP caller is: a user, a service, or a service that acts for a user; and their access to a chat."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.requests import Request

from gateway.authentication.authenticator import Authenticator
from gateway.authentication.credential_resolver import People
from gateway.authentication.credentials import NoCredentials, find_credentials
from gateway.http.problems import banned, invalid_field, not_found
from gateway.interfaces.membership import ChatAccess, Memberships, access_to
from gateway.interfaces.revocations import RevocationCheck
from gateway.protocol.codes import Close
from gateway.protocol.ids import id_in
from httpapi.audit.facts import note_user
from httpapi.operation import ON_BEHALF_OF
from httpapi.service_keys import ServiceKeys
from storage.auth_records import Credential
from storage.records import SYSTEM, Person

MAX_SUBJECT: Final = 255
_SUBJECT: Final = "sub:"


class Subjects(Protocol):
    """Users by what an external issuer calls them. Implemented in `storage.repositories.identities`."""

    async def by_subject(self, subject: str, issuer: str) -> Person | None:
        """The user with this `sub` at this issuer, or at any if it is empty; None if there is not exactly one.

        Raises: StorageUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who acts, if any, and the service that calls, if it is one. One of the two is set."""

    person: Person | None = None
    service: str | None = None

    @property
    def user_id(self) -> int | None:
        """The user's id; None for a service that acts as itself."""
        return None if self.person is None else self.person.id

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it was, for the log."""
        service: dict[str, object] = {} if self.service is None else {"service": self.service}
        return service if self.person is None else service | {"actor_id": self.person.id}


class Actors:
    """Finds out who acts in operations that take a user's token or a service key."""

    def __init__(
        self,
        identity: Authenticator,
        service_keys: ServiceKeys,
        people: People,
        subjects: Subjects,
        revocations: RevocationCheck,
        issuer: str = "",
    ) -> None:
        """`issuer` is the external issuer's name, if it is known."""
        self._identity = identity
        self._service_keys = service_keys
        self._people = people
        self._subjects = subjects
        self._issuer = issuer
        self._revocations = revocations

    async def of(self, request: Request, endpoint: Callable[..., Any]) -> Actor:
        """Who acts. A request with a service key is the service's, whatever token it has.

        Raises: Problem (401, 403, 404 no such user, 422, and as `Authenticator.caller`), StorageUnavailable,
        RedisUnavailable.
        """
        if "x-service-key" not in request.headers:
            actor = Actor(person=(await self._identity.caller(request)).person)
            if ON_BEHALF_OF.name in request.headers:
                raise invalid_field(f"{ON_BEHALF_OF.name} needs a service key (X-Service-Key).")
            return actor
        service = self._service_keys.require(request, endpoint).name
        represented = request.headers.get(ON_BEHALF_OF.name)
        return Actor(None if represented is None else await self._represented(represented), service)

    async def user(self, request: Request, endpoint: Callable[..., Any]) -> tuple[Person, Actor]:
        """The user who acts, in an operation that a service has no part in as itself.

        A token counts, also beside a service key, unless the request names the user for whom the service acts.
        Raises: as `of`; Problem (422) if a service names no user.
        """
        if ON_BEHALF_OF.name not in request.headers and not isinstance(find_credentials(request), NoCredentials):
            person = (await self._identity.caller(request)).person
            return person, Actor(person)
        actor = await self.of(request, endpoint)
        if actor.person is None:
            raise invalid_field(f"A service must name the user for whom it acts ({ON_BEHALF_OF.name}).")
        return actor.person, actor

    async def author(self, request: Request, endpoint: Callable[..., Any]) -> tuple[Person, Actor]:
        """As `user`, but a service that names no user acts as itself, which is the system.

        Raises: as `of`.
        """
        if ON_BEHALF_OF.name not in request.headers and not isinstance(find_credentials(request), NoCredentials):
            return await self.user(request, endpoint)
        actor = await self.of(request, endpoint)
        return actor.person or SYSTEM, actor

    async def _represented(self, name: str) -> Person:
        try:
            name = name.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise invalid_field(f"{ON_BEHALF_OF.name} must be UTF-8.") from None
        subject = name.removeprefix(_SUBJECT)
        if subject != name:
            if not 0 < len(subject) <= MAX_SUBJECT or "\x00" in subject:
                raise invalid_field(f"A subject in {ON_BEHALF_OF.name} has 1 to {MAX_SUBJECT} characters.")
            person = await self._subjects.by_subject(subject, self._issuer)
        elif (user_id := id_in(name)) is not None:
            person = await self._people.by_id(user_id)
        else:
            raise invalid_field(f"{ON_BEHALF_OF.name} is a user's id, or `sub:` and a subject of the external issuer.")
        if person is None:
            raise not_found()
        refusal = self._revocations.refusal(Credential(person.id, expires_at=time.time(), issued_at=int(time.time())))
        if refusal is not None and refusal.code is Close.BANNED:
            raise banned(refusal.reason)
        note_user(person.id)
        return person


async def see_chat(membership: Memberships, chat_id: int, user_id: int | None) -> ChatAccess:
    """The chat as this user sees it; a service as itself (None) sees every chat.

    Raises: Problem (404), StorageUnavailable.
    """
    if user_id is not None:
        access = await access_to(membership, chat_id, user_id)
    else:
        chat = await membership.position(chat_id)
        access = None if chat is None else ChatAccess(chat_id, chat.last_seq, chat.epoch, is_member=False)
    if access is None:
        raise not_found()
    return access
