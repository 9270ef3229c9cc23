"""Who an HTTP caller is: a user, a service, or a service that acts for a user; and their access to a chat."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.requests import Request

from gateway.authentication.authenticator import Authenticator
from gateway.authentication.credentials import NoCredentials, find_credentials
from gateway.http.parameters import path_id
from gateway.http.problems import Problem, banned, invalid_field, not_found, too_many_commands
from gateway.interfaces.membership import ChatAccess, Memberships, access_to
from gateway.interfaces.users.senders import SenderFault, Senders, Unrepresentable
from gateway.protocol.commands import Command
from gateway.sessions.command_limits import CommandLimits
from httpapi.audit.facts import note, note_user
from httpapi.operation import ON_BEHALF_OF
from httpapi.service_keys import ServiceKeys
from storage.records import SYSTEM, Person

_KEY: Final = "key:"


class KeyedChats(Protocol):
    """Chats by what an application calls them. Implemented in `storage.repositories.chats`."""

    async def id_of_key(self, key: str) -> int | None:
        """The chat with this key, or None.

        Raises: StorageUnavailable.
        """


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

    def __init__(self, identity: Authenticator, service_keys: ServiceKeys, senders: Senders, chats: KeyedChats) -> None:
        self._identity = identity
        self._service_keys = service_keys
        self._senders = senders
        self._chats = chats

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

    async def chat_id(self, request: Request) -> int:
        """The chat in the path, by id or as `key:` and its key; call it once the caller is known.

        It says nothing about who may see the chat. Raises: Problem (404), StorageUnavailable.
        """
        name: str = request.path_params["chat_id"]
        if not name.startswith(_KEY):
            return path_id(request, "chat_id")
        chat_id = await self._chats.id_of_key(name.removeprefix(_KEY))
        if chat_id is None:
            raise not_found()
        note(chat_id=chat_id)
        return chat_id

    async def represent(self, names: Collection[str]) -> dict[str, Person | Problem]:
        """The user of each name, or why a service cannot act for them; at most 500 names.

        Raises: StorageUnavailable.
        """
        found = await self._senders.find(names)
        return {
            name: _problem(sender) if isinstance(sender, Unrepresentable) else sender for name, sender in found.items()
        }

    async def _represented(self, header: str) -> Person:
        try:
            name = header.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise invalid_field(f"{ON_BEHALF_OF.name} must be UTF-8.") from None
        person = (await self.represent([name]))[name]
        if isinstance(person, Problem):
            raise person
        note_user(person.id)
        return person


def _problem(sender: Unrepresentable) -> Problem:
    match sender.fault:
        case SenderFault.INVALID:
            return invalid_field("A service acts for a user's id, or `sub:` and a subject of 1 to 255 characters.")
        case SenderFault.UNKNOWN:
            return not_found()
        case SenderFault.BANNED:
            return banned(sender.reason)


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


def limit_command(limits: CommandLimits, actor: Actor, command: Command) -> None:
    """Count a command towards the limits that the user's sockets have; those of services do not count.

    Raises: Problem (429).
    """
    if actor.service is None and actor.user_id is not None:
        wait_s = limits.wait_of_user_s(command, actor.user_id)
        if wait_s:
            raise too_many_commands(wait_s)
