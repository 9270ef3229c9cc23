"""Who an HTTP caller is to a chat: a user with or without access, or a service."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from gateway.authentication.authenticator import Authenticator
from gateway.http.problems import not_found
from gateway.interfaces.membership import ChatAccess, Memberships, access_to
from httpapi.service_keys import ServiceKeys
from storage.records import Person


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who calls, or the name of the service."""

    person: Person | None = None
    service: str | None = None

    @property
    def user_id(self) -> int | None:
        """The user's id; None for a service."""
        return None if self.person is None else self.person.id

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it was, for the log."""
        return {"service": self.service} if self.person is None else {"actor_id": self.person.id}


class Actors:
    """Finds the caller of operations that take a user's token or a service key."""

    def __init__(self, identity: Authenticator, service_keys: ServiceKeys) -> None:
        self._identity = identity
        self._service_keys = service_keys

    async def of(self, request: Request, endpoint: Callable[..., Any]) -> Actor:
        """The caller of the endpoint. A request with a service key is the service's, whatever token it has.

        Raises: Problem (401, 403, and as `Authenticator.caller`), StorageUnavailable, RedisUnavailable.
        """
        if "x-service-key" in request.headers:
            return Actor(service=self._service_keys.require(request, endpoint).name)
        return Actor(person=(await self._identity.caller(request)).person)


async def see_chat(membership: Memberships, chat_id: int, user_id: int) -> ChatAccess:
    """The chat as this user sees it.

    Raises: Problem (404), StorageUnavailable.
    """
    access = await access_to(membership, chat_id, user_id)
    if access is None:
        raise not_found()
    return access
