"""Connects any client to a multi-chat socket under the client_id of its URL: the URL family of seed 000."""

import math
import uuid
from dataclasses import dataclass
from functools import partial

from gateway.authentication.authenticator import Authenticator, Caller
from gateway.dialects.base import Dialect
from gateway.endpoints.base import PendingSession, asks_for_warning
from gateway.endpoints.connection_limits import network_of
from gateway.endpoints.handshake import Handshake
from gateway.http.parameters import path_segment
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.native import NativeSession
from storage.auth_records import Credential
from storage.records import Person


@dataclass(frozen=True, slots=True)
class NativeEndpoint:
    """Accepts every client; without a valid token it is anonymous."""

    identity: Authenticator
    context: SessionContext
    dialect: Dialect

    @property
    def name(self) -> str:
        """The name of the dialect."""
        return self.dialect.name

    async def admit(self, handshake: Handshake) -> PendingSession:
        """Authenticate the caller, if the request has a token.

        Raises: what `Authenticator.anyone` raises, and Problem (404 for an invalid client_id).
        """
        client_id = path_segment(handshake, "/ws/", "/")
        caller = await self.identity.anyone(handshake)
        person: Person | None = None
        credential = Credential(None, math.inf)
        if isinstance(caller, Caller):
            person, credential = caller.person, caller.credential
        peer = Peer(
            self.dialect, person, credential, uuid.uuid4().hex, asks_for_warning(handshake), network_of(handshake)
        )
        return PendingSession(caller.subprotocol, partial(NativeSession, self.context, peer, client_id))
