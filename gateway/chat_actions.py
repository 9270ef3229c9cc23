"""What a person does in chats over a session of whatever kind: every action is answered once, and counted."""

import time
from typing import Protocol

from gateway.dialects.base import Request
from gateway.messages import (
    DeleteMessage,
    Done,
    EditMessage,
    ErrorReply,
    GetHistory,
    HistoryPage,
    PresenceState,
    RateLimited,
    Reply,
    SendMessage,
    Stored,
    new_client_msg_id,
)
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.rate_limits import Admitted
from gateway.refusals import REFUSALS, rate_limited
from gateway.subscription import Subscription
from gateway.typing_throttle import TypingThrottle
from storage.records import Committed, EventKind, NewEvent, Outcome, Person


class Answers(Protocol):
    """The session that asks; nothing but `room` blocks."""

    def answer(self, reply: Reply, request: Request | None) -> None:
        """Write the answer."""
        ...

    def refuse(self, error: ErrorReply, request: Request | None) -> None:
        """Write the error, and count it."""
        ...

    def done(self, request: Request, seconds: float | None = None) -> None:
        """Count a command that was carried out."""
        ...

    async def room(self) -> bool:
        """Return once its outbox has room for a page; False if it is closed."""
        ...


class ChatActions:
    """One person's. Whether they may is the caller's to check, but for what is stored: the commit does."""

    def __init__(self, node: Node, metrics: ClientMetrics, person: Person, session: Answers) -> None:
        self._node = node
        self._metrics = metrics
        self._person = person
        self._session = session
        self._throttles: dict[int, TypingThrottle] = {}
        """Of the chats in which the person has typed a moment ago."""

    async def send(self, request: Request, chat_id: int, command: SendMessage, by: Subscription | None = None) -> None:
        """Store a message, if the person's minute has room; `by` is the subscription that it is sent over, if any.

        Raises: StorageUnavailable.
        """
        started = time.perf_counter()
        event = self._event(chat_id, command)
        verdict = await self._node.admit(event)
        if isinstance(verdict, RateLimited):
            self._metrics.rate_limited.inc()
            self._session.refuse(rate_limited(verdict), request)
        else:
            self._submit(request, event, verdict, by, started)

    def change(
        self, request: Request, chat_id: int, command: EditMessage | DeleteMessage, by: Subscription | None = None
    ) -> None:
        """Edit or delete a message; the answer follows."""
        self._submit(request, self._event(chat_id, command), None, by, time.perf_counter())

    def _event(self, chat_id: int, command: SendMessage | EditMessage | DeleteMessage) -> NewEvent:
        client_msg_id = command.client_msg_id or new_client_msg_id()
        match command:
            case SendMessage():
                return NewEvent(chat_id, self._person, client_msg_id, EventKind.MESSAGE, command.text)
            case EditMessage():
                edit = EventKind.EDIT
                return NewEvent(chat_id, self._person, client_msg_id, edit, command.text, command.message_id)
            case DeleteMessage():
                return NewEvent(chat_id, self._person, client_msg_id, EventKind.DELETE, "", command.message_id)

    def _submit(
        self,
        request: Request,
        event: NewEvent,
        admitted: Admitted | None,
        by: Subscription | None,
        started: float,
    ) -> None:
        epoch = self._node.epoch

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Committed):
                self._session.answer(Stored(outcome.event, outcome.duplicate, epoch), request)
                self._session.done(request, time.perf_counter() - started)
            else:
                self._session.refuse(REFUSALS[outcome], request)

        self._node.submit(event, done, admitted=admitted, by=by)

    def set_typing(self, request: Request, chat_id: int, is_typing: bool) -> None:
        """Tell the others of the chat, in due time."""
        throttle = self._throttles.get(chat_id)
        if throttle is None:
            throttle = self._throttles[chat_id] = TypingThrottle(
                publish=lambda latest: self._node.publish_typing(chat_id, self._person, latest),
                on_idle=lambda: self._forget_throttle(chat_id),
            )
        throttle.change(is_typing)
        self._finish(request)

    def _forget_throttle(self, chat_id: int) -> None:
        del self._throttles[chat_id]

    def stop_typing(self) -> None:
        """The session has ended: pass on nothing more."""
        for throttle in self._throttles.values():
            throttle.cancel()
        self._throttles.clear()

    async def mark_read(self, request: Request, chat_id: int, seq: int) -> None:
        """Move the person's read position to a seq of the chat.

        Raises: StorageUnavailable.
        """
        await self._node.mark_read(chat_id, self._person, seq)
        self._finish(request)

    def _finish(self, request: Request) -> None:
        self._session.answer(Done(), request)
        self._session.done(request)

    async def history(self, request: Request, chat_id: int, command: GetHistory, last_seq: int) -> None:
        """Answer with a page of stored messages, once the session has room for it.

        Raises: StorageUnavailable.
        """
        if not await self._session.room():
            return
        history = self._node.history
        if command.after_seq is not None:
            events = await history.after(chat_id, command.after_seq, command.limit, last_seq)
        else:
            events = await history.before(chat_id, command.before_seq, command.limit)
        self._session.answer(HistoryPage(chat_id, events, last_seq), request)
        self._session.done(request)

    async def presence(self, request: Request, chat_id: int) -> None:
        """Answer with who is connected.

        Raises: RedisUnavailable.
        """
        members = await self._node.presence.members(chat_id)
        self._session.answer(PresenceState(chat_id, members), request)
        self._session.done(request)
