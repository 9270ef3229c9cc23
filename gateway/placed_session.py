"""A socket that is in one chat, and nowhere else, from the start to the end."""

import asyncio
from collections.abc import Callable

from gateway.codes import Close, Disconnect
from gateway.dialects.base import Dialect
from gateway.lane import Lane
from gateway.messages import Established, Reply
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.session import Session
from gateway.subscription import Place
from storage.errors import StorageUnavailable
from storage.records import Person


class PlacedSession(Session):
    """What such sessions share, whoever they are and whatever they may do. Meets Recipient."""

    def __init__(
        self,
        *,
        node: Node,
        lane: Lane,
        dialect: Dialect,
        person: Person | None,
        expires_at: float,
        metrics: ClientMetrics,
        on_closed: Callable[[Session, int], None],
        home: Place,
    ) -> None:
        super().__init__(
            node=node,
            lane=lane,
            dialect=dialect,
            person=person,
            connection_id=home.seat.connection_id,
            expires_at=expires_at,
            metrics=metrics,
            on_closed=on_closed,
        )
        self._place = home
        self._home = node.register(self, home.seat, home.claim)

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it is and where, for the log."""
        return super().log_fields | {"chat_id": self._place.seat.chat_id}

    def attach(self) -> None:
        """Start. What the client says is taken only once its position is fixed: else its own message might be stored
        before that, and neither come after the greeting nor be told of.
        """
        self._lane.pause_reading()
        super().attach()

    def _begin(self) -> None:
        self._node.tasks.spawn(self._go_live(), "go live")

    async def _go_live(self) -> None:
        try:
            await self._node.go_live(self._home, self._place.since, self._place.epoch)
        except StorageUnavailable:
            self.close(Disconnect(Close.POSITION_LOST, "the store is not available; come back with since"))
        except Exception:  # a defect of ours must not leave a socket that is never told anything
            self.close(Disconnect(Close.INTERNAL, "come back with since"))
            raise

    def _end(self, *, at_once: bool) -> None:
        self._node.leave(self._home, at_once=at_once)

    def tell(self, reply: Reply) -> None:
        """Write an unasked reply."""
        self.answer(reply, None)
        if isinstance(reply, Established):
            asyncio.get_running_loop().call_soon(self._lane.resume_reading)  # when it is live, or has begun to page
