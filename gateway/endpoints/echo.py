"""Connects a user to the echo channel of seed 003, with a token or a ticket."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from gateway.authentication.authenticator import Authenticator
from gateway.endpoints.base import PendingSession
from gateway.endpoints.handshake import Handshake
from gateway.sessions.echo import EchoService
from httpapi.client_address import Network, client_address, networks_of
from httpapi.errors import retry_later

QUOTA: Final = "quota_exceeded"
"""The error code of a handshake whose user or address can store nothing at the moment."""


@dataclass(frozen=True, slots=True)
class EchoEndpoint:
    """Requires a token or ticket of any user."""

    identity: Authenticator
    echo: EchoService
    trusted_proxies: Collection[Network]

    @property
    def name(self) -> str:
        """The label in metrics and logs."""
        return "echo"

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Authenticate the caller.

        Raises: Problem (also if the user or the address can store nothing), StorageUnavailable, RedisUnavailable.
        """
        caller = await self.identity.caller(handshake)
        address = networks_of(client_address(handshake, self.trusted_proxies))[0]
        exceeded = await self.echo.quota.exceeded(caller.person.id, address)
        if exceeded is not None:
            self.echo.metrics.quota_exceeded(exceeded.quota)
            detail = "The transcripts of this hour are full."
            raise retry_later(HTTPStatus.TOO_MANY_REQUESTS, QUOTA, detail, exceeded.retry_after_s)
        session = partial(self.echo.session, caller.person.id, address, caller.credential)
        return PendingSession(caller.subprotocol, session)
