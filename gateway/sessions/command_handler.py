"""Executes the chat commands of a user, in any kind of session: each command gets one response and is counted."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from gateway.delivery.subscription import Subscription
from gateway.dialects.base import Request
from gateway.interfaces.membership import ChatAccess
from gateway.interfaces.rate_limits import Admitted, RateLimited
from gateway.protocol.commands import DeleteMessage, EditMessage, GetHistory, React, SendMessage
from gateway.protocol.refusals import rate_limited, refusal_reply
from gateway.protocol.replies import Done, HistoryPage, PresenceState, Stored, Unreacted, UserPresence, UsersPresence
from gateway.protocol.validation import new_client_msg_id
from gateway.sessions.context import SessionContext
from gateway.sessions.session import Session
from gateway.sessions.typing_throttle import TypingThrottle
from storage.reaction_records import Unchanged, reaction_of, reaction_text
from storage.records import Committed, EventKind, NewEvent, Outcome, Person, Quota, Refusal

StoredCommand = SendMessage | EditMessage | DeleteMessage | React
STORED: Final = (SendMessage, EditMessage, DeleteMessage, React)
_QUOTAS: Final[Mapping[Refusal, Quota]] = {
    Refusal.EDIT_LIMIT: Quota.MESSAGE_EDITS,
    Refusal.REACTION_LIMIT: Quota.MESSAGE_REACTIONS,
}


class CommandHandler:
    """The commands of one user. Reads must be authorized by the caller; writes are authorized by the commit."""

    def __init__(self, context: SessionContext, person: Person, session: Session) -> None:
        self._context = context
        self._node = context.node
        self._traces = context.traces
        self._authenticated = person
        self._session = session
        self.is_limited = True
        """Whether events count against the user's rate limit; those of a service do not."""
        self._throttles: dict[int, TypingThrottle] = {}
        """By chat: the throttles of recent typing notifications."""

    @property
    def _person(self) -> Person:
        """The user, with the names of now."""
        return self._session.person or self._authenticated

    def store(
        self,
        request: Request,
        chat_id: int,
        command: StoredCommand,
        proceed: Callable[[], None],
        by: Subscription | None = None,
    ) -> None:
        """Store an event, unless the user's rate limit is reached; the reply follows after the commit.

        `proceed` is called once the event is submitted or rejected, within this call if it counts against no limit:
        only then may the user's next one be stored. `by` is the sending subscription, if any.
        """
        storing = _Storing(self, request, self._event(chat_id, command), proceed, by, time.perf_counter())
        if self.is_limited:
            self._node.admit(storing.event, storing.on_admission)
        else:
            storing.on_admission(None)

    def admitted(self, storing: "_Storing", admission: Admitted | RateLimited | Refusal | None) -> None:
        """Submit an event that its sender's limit allows, or refuse its command."""
        request, event = storing.request, storing.event
        if isinstance(admission, RateLimited):
            match event.kind:
                case EventKind.MESSAGE:
                    self._context.metrics.rate_limited.inc()
                case EventKind.REACTION:
                    self._context.metrics.quota_exceeded(Quota.REACTIONS)
                case EventKind.EDIT | EventKind.DELETE:
                    self._context.metrics.quota_exceeded(Quota.EDITS)
            self._session.refuse(rate_limited(admission.retry_after_s), request)
        elif isinstance(admission, Refusal):
            self._session.refuse(refusal_reply(admission), request)
        else:
            storing.epoch = self._node.epoch
            if self._traces is not None:
                self._traces.command_begins(request, event)
            self._node.submit(event, storing.done, admitted=admission, by=storing.by)

    def settled(self, storing: "_Storing", outcome: Outcome) -> None:
        """Answer a command whose event was committed or rejected."""
        request, event = storing.request, storing.event
        if isinstance(outcome, Committed):
            self._session.answer(Stored(outcome.event, outcome.duplicate, storing.epoch), request)
            self._session.done(request, time.perf_counter() - storing.started)
        elif isinstance(outcome, Unchanged):
            reaction = reaction_of(event.text, self._person.id, outcome.counts)
            self._session.answer(Unreacted(outcome.message_id, reaction), request)
            self._session.done(request, time.perf_counter() - storing.started)
        else:
            if isinstance(outcome, Refusal) and outcome in _QUOTAS:
                self._context.metrics.quota_exceeded(_QUOTAS[outcome])
            self._session.refuse(refusal_reply(outcome), request)

    def fail(self, request: Request) -> None:
        """Reject a command that raised."""
        self._session.fail(request)

    def _event(self, chat_id: int, command: StoredCommand) -> NewEvent:
        client_msg_id = command.client_msg_id or new_client_msg_id()
        match command:
            case SendMessage():
                return NewEvent(
                    chat_id,
                    self._person,
                    client_msg_id,
                    EventKind.MESSAGE,
                    command.text,
                    data=command.data,
                    reply_to=command.reply_to,
                    mentions=command.mentions,
                )
            case EditMessage():
                edit, target = EventKind.EDIT, command.message_id
                return NewEvent(chat_id, self._person, client_msg_id, edit, command.text, target, command.data)
            case DeleteMessage():
                return NewEvent(chat_id, self._person, client_msg_id, EventKind.DELETE, "", command.message_id)
            case React():
                text = reaction_text(command.key, removed=command.removes)
                return NewEvent(chat_id, self._person, client_msg_id, EventKind.REACTION, text, command.message_id)

    def set_typing(self, request: Request, chat_id: int, is_typing: bool) -> None:
        """Publish that the user started or stopped typing, throttled."""
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
        """Cancel pending typing notifications, as the session has ended."""
        for throttle in self._throttles.values():
            throttle.cancel()
        self._throttles.clear()

    async def mark_read(self, request: Request, chat_id: int, seq: int) -> None:
        """Move the user's read position forward to a seq of the chat.

        Raises: StorageUnavailable.
        """
        await self._node.mark_read(chat_id, self._person, seq, self._session.connection_id)
        self._finish(request)

    def _finish(self, request: Request) -> None:
        self._session.answer(Done(), request)
        self._session.done(request)

    async def history(self, request: Request, access: ChatAccess, command: GetHistory) -> None:
        """Reply with a page of stored events or messages, once the send queue has room for it.

        Raises: StorageUnavailable.
        """
        if not await self._session.wait_writable():
            return
        history, chat_id = self._context.history, access.chat_id
        if command.after_seq is not None:
            events = await history.after(chat_id, command.after_seq, command.limit, access.last_seq, access.epoch)
        else:
            events = await history.before(chat_id, command.before_seq, command.limit)
        own = await history.own_reactions(self._person.id, events)
        self._session.answer(HistoryPage(chat_id, events, access.last_seq, own), request)
        self._session.done(request)

    async def look(self, user_ids: Sequence[int]) -> tuple[list[UserPresence], list[UserPresence]]:
        """The presence of users, and of those of them of whom this one may know.

        Raises: StorageUnavailable, RedisUnavailable.
        """
        return await self._context.online.look(user_ids, self._person.id)

    async def users_presence(self, request: Request, user_ids: Sequence[int]) -> None:
        """Reply with the presence of users, as far as this one may know.

        Raises: StorageUnavailable, RedisUnavailable.
        """
        users = await self._context.online.states(user_ids, self._person.id)
        self._session.answer(UsersPresence(users), request)
        self._session.done(request)

    async def presence(self, request: Request, chat_id: int) -> None:
        """Reply with the users connected to the chat.

        Raises: RedisUnavailable.
        """
        members = await self._context.present_people.members(chat_id)
        self._session.answer(PresenceState(chat_id, members), request)
        self._session.done(request)


class _Storing(Struct, gc=False, eq=False):
    """The command of one event, from its admission to its reply.

    In the place of closures: the garbage collector counts and looks at each of their cells, which was most of its work.
    """

    handler: CommandHandler
    request: Request
    event: NewEvent
    proceed: Callable[[], None]
    by: Subscription | None
    started: float
    epoch: str = ""
    """That of the database when the event was submitted."""

    def on_admission(self, admission: Admitted | RateLimited | Refusal | None) -> None:
        """Go on, and let the next command of the session begin."""
        try:
            self.handler.admitted(self, admission)
        except Exception:
            self.handler.fail(self.request)
        self.proceed()

    def done(self, outcome: Outcome) -> None:
        """Answer."""
        self.handler.settled(self, outcome)
