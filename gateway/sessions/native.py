"""The session of the native protocol: a multi-chat socket, authenticated or anonymous."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, Final

from gateway.dialects.base import Request
from gateway.dialects.command_decoder import invalid_field
from gateway.interfaces.connection import Connection
from gateway.interfaces.membership import ChatAccess, access_to
from gateway.interfaces.presence import Seat
from gateway.interfaces.session import OnClosed
from gateway.node.policy.roles import COMMANDS, Party
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import (
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    GetUsersPresence,
    Hello,
    MarkRead,
    Ping,
    React,
    Refresh,
    SendMessage,
    SetTyping,
    Subscribe,
    SubscribePresence,
    Unsubscribe,
)
from gateway.protocol.ids import Since
from gateway.protocol.refusals import NEEDS_A_USER, UNAVAILABLE, not_in_chat, refusal_reply
from gateway.protocol.replies import ChatRemoved, Done, ErrorReply, Greeting, Pong, UsersPresence
from gateway.sessions.command_handler import CommandHandler, StoredCommand
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.native_subscription import NativeSubscription
from gateway.sessions.session import Session
from storage.errors import StorageUnavailable
from storage.records import Refusal

MAX_SUBSCRIPTIONS = 1000
"""The limit per socket."""

_NOTHING_WRITTEN = invalid_field("seq", "an integer, as nothing of the chat was written to this socket")
_TOO_MANY = ErrorReply(ErrorCode.TOO_MANY_SUBSCRIPTIONS, f"A socket has at most {MAX_SUBSCRIPTIONS} subscriptions")


class NativeSession(Session):
    """Implements LocalClient.

    A second subscribe to a chat restarts from the new `since`. Other commands need no subscription: without one, the
    user's access to the chat is read from the store.
    """

    def __init__(
        self,
        context: SessionContext,
        peer: Peer,
        client_id: str,
        connection: Connection,
        on_closed: OnClosed,
    ) -> None:
        super().__init__(context, peer, connection, on_closed)
        self.client_id = client_id
        self._actions = None if peer.person is None else CommandHandler(context, peer.person, self)
        self._subscriptions: dict[int, NativeSubscription] = {}
        self._is_over = False
        self._replay_lock = asyncio.Lock()
        """Allows one replay at a time, so that replays hold one page in memory and never overfill the send queue."""

    def _begin(self) -> None:
        self._context.local_clients.add(self)
        if self.person is not None:
            self._context.feed.follow(self.person.id)

    def _end(self, *, at_once: bool) -> None:
        self._is_over = True
        self._context.local_clients.remove(self)
        self._context.online.watch.unwatch(self)
        if self.person is not None:
            self._context.feed.unfollow(self.person.id)
        if self._actions is not None:
            self._actions.stop_typing()
        for native in self._subscriptions.values():
            self._node.leave(native.subscription, at_once=at_once)
        self._subscriptions.clear()

    def _release(self) -> None:
        super()._release()
        self._actions = None

    # --- LocalClient

    def is_subscribed(self, chat_id: int) -> bool:
        """Whether the socket receives the pushes of this chat already."""
        return chat_id in self._subscriptions

    # --- commands

    def _handle_now(self, request: Request) -> bool:
        rule = _RULES[type(request.command)]
        if rule.needs_user and self._actions is None:
            self.refuse(NEEDS_A_USER, request)
        elif rule.awaits or rule.stores:
            return False
        else:
            rule.handler(self, request, request.command, request.chat_id)
        return True

    def _start(self, request: Request) -> bool:
        rule = _RULES[type(request.command)]
        if rule.stores:
            rule.handler(self, request, request.command, request.chat_id)
        return rule.stores

    async def _handle(self, request: Request) -> None:
        rule = _RULES[type(request.command)]
        target: int | ChatAccess | None = request.chat_id
        if rule.in_chat:
            access = None if request.chat_id is None else await self._access(request.chat_id)
            if access is None or (rule.members_only and not access.is_member):
                self.refuse(not_in_chat(), request)
                return
            target = access
        waiting = rule.handler(self, request, request.command, target)
        if waiting is not None:
            await waiting

    @property
    def _commands(self) -> CommandHandler:
        """The commands of the user, for handlers that the table does not allow to anyone."""
        assert self._actions is not None, "checked before"  # noqa: S101
        return self._actions

    def _ping(self, request: Request, _: Ping, __: None) -> None:
        self.answer(Pong(), request)
        self.done(request)

    def _hello(self, request: Request, command: Hello, _: None) -> None:
        self.wants_expiry_warning |= command.wants_expiry_warning
        user_id = self.person.id if self.person else None
        self.answer(Greeting(self.client_id, user_id, command.message, self._context.node.node_id), request)
        self.done(request)

    async def _refresh(self, request: Request, command: Refresh, _: None) -> None:
        await self.refresh(request, command)

    def _end_subscription(self, request: Request, _: Unsubscribe, chat_id: int) -> None:
        self._unsubscribe(chat_id)
        self.answer(Done(), request)
        self.done(request)

    def _store(self, request: Request, command: StoredCommand, chat_id: int) -> None:
        self._commands.store(request, chat_id, command, self._proceed)

    async def _history(self, request: Request, command: GetHistory, access: ChatAccess) -> None:
        await self._commands.history(request, access, command)

    async def _presence(self, request: Request, _: GetPresence, access: ChatAccess) -> None:
        await self._commands.presence(request, access.chat_id)

    async def _users_presence(self, request: Request, command: GetUsersPresence, _: None) -> None:
        await self._commands.users_presence(request, command.user_ids)

    async def _subscribe_presence(self, request: Request, command: SubscribePresence, _: None) -> None:
        users, visible = await self._commands.look(command.user_ids)
        if not self._is_over:
            self._context.online.watch.watch(self, visible)
            self.answer(UsersPresence(users), request)
            self.done(request)

    def _set_typing(self, request: Request, command: SetTyping, access: ChatAccess) -> None:
        if access.is_reader:
            self.refuse(refusal_reply(Refusal.READER), request)
            return
        self._commands.set_typing(request, access.chat_id, command.is_typing)

    async def _mark_read(self, request: Request, command: MarkRead, access: ChatAccess) -> None:
        seq = command.seq
        if seq is None:
            native = self._subscriptions.get(access.chat_id)
            if native is None:
                self.refuse(_NOTHING_WRITTEN, request)
                return
            seq = native.subscription.pos
        await self._commands.mark_read(request, access.chat_id, min(seq, access.last_seq))

    async def _access(self, chat_id: int) -> ChatAccess | None:
        """The user's access to the chat, taken from a started subscription or read from the store.

        Raises: StorageUnavailable.
        """
        native = self._subscriptions.get(chat_id)
        if native is not None and native.subscription.local.reorder_buffer.is_started:
            subscription = native.subscription
            local = subscription.local
            is_member, is_reader = subscription.seat is not None, subscription.is_reader
            last_seq, version = local.reorder_buffer.last_seq, local.members_version
            return ChatAccess(chat_id, last_seq, local.epoch, is_member, is_reader, version)
        return await access_to(self._context.membership, chat_id, self.person.id if self.person else None)

    # --- subscriptions

    async def _subscribe(self, request: Request, command: Subscribe, chat_id: int) -> None:
        if chat_id not in self._subscriptions and len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            self.refuse(_TOO_MANY, request)
            return
        user = self.person
        if chat_id in self._subscriptions and self._subscriptions[chat_id].subscription.seat is not None:
            access = await self._access(chat_id)  # members stay members until evicted, so a restart needs no store
        else:
            access = await access_to(self._context.membership, chat_id, user.id if user else None)
        if access is None:
            self.refuse(not_in_chat(), request)
            return
        native = NativeSubscription(self, request, self._on_evicted)
        if user is not None and access.is_member:
            seat = Seat(chat_id, user.id, user.username, uuid.uuid4().hex, display_name=user.shown_name)
            claim = await self._node.enter(seat)
            assert claim is not None, "only contested seats are refused"  # noqa: S101
            native.subscription = self._node.register(native, seat, claim, is_reader=access.is_reader)
            native.subscription.admitted_at(access.members_version)
        else:
            native.subscription = self._node.visit(native, chat_id)
        if self._is_over:
            self._node.leave(native.subscription, at_once=True)
            return
        self._unsubscribe(chat_id)  # only now, so that the user's presence does not flap
        self._subscriptions[chat_id] = native
        if native.subscription.seat is not None:
            self._context.feed.on_admitted(chat_id, native.subscription.user_id)
        self._context.tasks.spawn(self._go_live(native, command.since, access.epoch), "go live")

    async def _go_live(self, native: NativeSubscription, since: Since | None, epoch: str) -> None:
        try:
            if since is None:
                await self._node.go_live(native.subscription, None, epoch)
                return
            async with self._replay_lock:
                await self._node.go_live(native.subscription, since, epoch)
        except StorageUnavailable:
            # The other subscriptions continue: the store is read per chat.
            if self._forget(native):
                native.fail(UNAVAILABLE)
        except Exception:  # a defect must not leave a subscription that receives nothing
            if self._forget(native):
                native.fail(UNAVAILABLE)
            raise

    def _unsubscribe(self, chat_id: int) -> None:
        native = self._subscriptions.get(chat_id)
        if native is not None and self._forget(native):
            native.supersede()

    def _forget(self, native: NativeSubscription) -> bool:
        """End the subscription; False if it had ended before."""
        chat_id = native.subscription.chat_id
        if self._subscriptions.get(chat_id) is not native:
            return False
        del self._subscriptions[chat_id]
        self._node.leave(native.subscription, at_once=True)
        return True

    def _on_evicted(self, native: NativeSubscription) -> None:
        """End the subscription of a removed user, whose sockets the feed notifies, or of a visitor."""
        if not self._forget(native):
            return
        if native.subscription.seat is None:
            self.tell(ChatRemoved(native.subscription.chat_id))
        else:
            self._context.feed.on_evicted(native.subscription.chat_id, native.subscription.user_id)


class _Rule:
    """The handler of a command; `gateway.node.policy.roles` says who may use it.

    The handler gets the session, the request, the command, and the id of its chat, if it has one; `in_chat`, where the
    access to the chat is checked before, it gets the `ChatAccess` in place of the id. Other handlers check it
    themselves: the commit checks that of the sender. `awaits`: the check or the handler may wait. `stores`: the handler
    calls `_proceed` (see `Session._start`).
    """

    __slots__ = ("awaits", "handler", "in_chat", "members_only", "needs_user", "stores")

    def __init__(
        self,
        handler: Callable[[NativeSession, Request, Any, Any], Awaitable[None] | None],
        name: str,
        *,
        in_chat: bool = False,
        stores: bool = False,
    ) -> None:
        parties = COMMANDS[name].parties
        self.handler = handler
        self.needs_user = Party.ANONYMOUS not in parties
        self.members_only = Party.VISITOR not in parties
        self.in_chat = in_chat
        self.stores = stores
        self.awaits = in_chat or iscoroutinefunction(handler)


_RULES: Final[Mapping[type, _Rule]] = {
    Ping: _Rule(NativeSession._ping, "ping"),
    Hello: _Rule(NativeSession._hello, "hello"),
    Refresh: _Rule(NativeSession._refresh, "refresh"),
    Subscribe: _Rule(NativeSession._subscribe, "subscribe"),
    Unsubscribe: _Rule(NativeSession._end_subscription, "unsubscribe"),
    SendMessage: _Rule(NativeSession._store, "message", stores=True),
    EditMessage: _Rule(NativeSession._store, "edit_message", stores=True),
    DeleteMessage: _Rule(NativeSession._store, "delete_message", stores=True),
    React: _Rule(NativeSession._store, "react", stores=True),
    GetHistory: _Rule(NativeSession._history, "history", in_chat=True),
    GetPresence: _Rule(NativeSession._presence, "presence", in_chat=True),
    GetUsersPresence: _Rule(NativeSession._users_presence, "presence"),
    SubscribePresence: _Rule(NativeSession._subscribe_presence, "subscribe_presence"),
    SetTyping: _Rule(NativeSession._set_typing, "typing", in_chat=True),
    MarkRead: _Rule(NativeSession._mark_read, "read_messages", in_chat=True),
}
