"""Entries that lead to a session in one chat."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.chat_session import ChatSession
from gateway.dialects.base import Dialect
from gateway.entrances.base import Client, OnClosed
from gateway.lane import Lane
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.subscription import Place
from storage.records import Person


@dataclass(frozen=True, slots=True)
class Sessions:
    """Makes sessions of one dialect on this node."""

    node: Node
    metrics: ClientMetrics
    dialect: Dialect

    def entry(
        self,
        person: Person,
        *,
        expires_at: float,
        subprotocol: str | None,
        home: Place,
    ) -> "SessionEntry":
        """The way in for this person, to this place."""

        def open_session(lane: Lane, on_closed: OnClosed) -> ChatSession:
            return ChatSession(
                node=self.node,
                lane=lane,
                dialect=self.dialect,
                person=person,
                expires_at=expires_at,
                metrics=self.metrics,
                on_closed=on_closed,
                home=home,
            )

        return SessionEntry(subprotocol, open_session)


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """Meets `Entry`."""

    subprotocol: str | None
    open: Callable[[Lane, OnClosed], Client]
