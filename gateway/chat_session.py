"""A member's socket in one chat: the dialects of one chat a connection."""

from collections.abc import Callable

from gateway.chat_actions import ChatActions
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
    SendMessage,
    SetTyping,
)
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.placed_session import PlacedSession
from gateway.session import Session
from gateway.subscription import Place
from storage.records import Person


class ChatSession(PlacedSession):
    """A member, who may do there what its dialect has words for."""

    def __init__(
        self,
        *,
        node: Node,
        lane: Lane,
        dialect: Dialect,
        person: Person,
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
            expires_at=expires_at,
            metrics=metrics,
            on_closed=on_closed,
            home=home,
        )
        self._actions = ChatActions(node, metrics, person, self)

    def _end(self, *, at_once: bool) -> None:
        self._actions.stop_typing()
        super()._end(at_once=at_once)

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
