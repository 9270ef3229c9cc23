"""A member's socket in one chat: the dialects of one chat a connection."""

from collections.abc import Callable

from gateway.chat_actions import ChatActions
from gateway.codes import Close, Disconnect
from gateway.dialects.base import Dialect, Request
from gateway.lane import Lane
from gateway.messages import (
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    MarkRead,
    Ping,
    Pong,
    Reply,
    SendMessage,
    SetTyping,
)
from gateway.metrics import Metrics
from gateway.node import Node
from gateway.session import Session
from gateway.subscription import Place
from storage.errors import StorageUnavailable
from storage.records import Person


class ChatSession(Session):
    """A session that is in its chat, and nowhere else, from the start. Meets Recipient."""

    def __init__(
        self,
        *,
        node: Node,
        lane: Lane,
        dialect: Dialect,
        person: Person,
        connection_id: str,
        expires_at: float,
        metrics: Metrics,
        on_closed: Callable[[Session, int], None],
        home: Place,
    ) -> None:
        super().__init__(
            node=node,
            lane=lane,
            dialect=dialect,
            person=person,
            connection_id=connection_id,
            expires_at=expires_at,
            metrics=metrics,
            on_closed=on_closed,
        )
        self._place = home
        self._home = node.register(self, home.seat, home.claim)
        self._actions = ChatActions(node, metrics, person, self)

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it is and where, for the log."""
        return super().log_fields | {"chat_id": self._place.seat.chat_id}

    def _begin(self) -> None:
        self._node.tasks.spawn(self._go_live(), "go live")

    async def _go_live(self) -> None:
        try:
            await self._node.go_live(self._home, self._place.since, self._place.epoch)
        except StorageUnavailable:
            self.close(Disconnect(Close.POSITION_LOST, "the store is not available; come back with since"))

    def _end(self, *, at_once: bool) -> None:
        self._actions.stop_typing()
        self._node.leave(self._home, at_once=at_once)

    def tell(self, reply: Reply) -> None:
        """Write an unasked reply."""
        self.answer(reply, None)

    def _handle_now(self, request: Request) -> bool:
        match request.command:
            case SendMessage() | MarkRead() | GetHistory() | GetPresence():
                return False
            case Ping():
                self.answer(Pong(), request)
                self.done(request)
            case SetTyping(is_typing=is_typing):
                self._actions.set_typing(request, self._home.chat_id, is_typing)
            case EditMessage() | DeleteMessage() as command:
                self._actions.change(request, self._home.chat_id, command, by=self._home)
        return True

    async def _handle(self, request: Request) -> None:
        chat_id, last_seq = self._home.chat_id, self._home.local.timeline.last_seq
        match request.command:
            case SendMessage() as command:
                await self._actions.send(request, chat_id, command, by=self._home)
            case MarkRead(seq=seq):
                await self._actions.mark_read(request, chat_id, self._home.pos if seq is None else min(seq, last_seq))
            case GetHistory() as command:
                await self._actions.history(request, chat_id, command, last_seq)
            case GetPresence():
                await self._actions.presence(request, chat_id)
