"""A socket of many chats: the native protocol's session, of a user or of somebody unknown."""

import asyncio
import uuid
from collections.abc import Callable

from gateway.chat_actions import ChatActions
from gateway.codes import ErrorCode
from gateway.dialects.base import Dialect, Request
from gateway.dialects.fields import invalid_field
from gateway.feed import Feed
from gateway.lane import Lane
from gateway.lobby import Lobby
from gateway.messages import (
    DeleteMessage,
    Done,
    EditMessage,
    ErrorReply,
    GetHistory,
    GetPresence,
    Greeting,
    Hello,
    MarkRead,
    Ping,
    Pong,
    SendMessage,
    SetTyping,
    Since,
    Subscribe,
    Unsubscribe,
)
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.notices import Notice
from gateway.presence import Seat
from gateway.refusals import NEEDS_A_USER, UNAVAILABLE, not_in_chat
from gateway.session import Session
from gateway.sight import Sight, look
from gateway.watch import Watch
from storage.errors import StorageUnavailable
from storage.records import Person

MAX_SUBSCRIPTIONS = 1000
"""A socket's."""

_TOO_MANY = ErrorReply(ErrorCode.TOO_MANY_SUBSCRIPTIONS, f"A socket has at most {MAX_SUBSCRIPTIONS} subscriptions")


class NativeSession(Session):
    """Meets Watcher and LobbySocket.

    Subscribing again begins anew, from the new `since`. What needs a subscription nowhere else needs none here: whether
    the user may see or change the chat is asked of the store where no subscription says so.
    """

    def __init__(
        self,
        *,
        node: Node,
        lobby: Lobby,
        feed: Feed,
        lane: Lane,
        dialect: Dialect,
        person: Person | None,
        client_id: str,
        connection_id: str,
        expires_at: float,
        metrics: ClientMetrics,
        on_closed: Callable[[Session, int], None],
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
        self.client_id = client_id
        self._lobby = lobby
        self._feed = feed
        self._actions = None if person is None else ChatActions(node, metrics, person, self)
        self._watches: dict[int, Watch] = {}
        self._is_over = False
        self._replaying = asyncio.Lock()
        """One replay at a time, so that together they hold one page and never overfill the outbox."""

    def _begin(self) -> None:
        self._lobby.add(self)
        if self.person is not None:
            self._feed.follow(self.person.id)

    def _end(self, *, at_once: bool) -> None:
        self._is_over = True
        self._lobby.remove(self)
        if self.person is not None:
            self._feed.unfollow(self.person.id)
        if self._actions is not None:
            self._actions.stop_typing()
        for watch in self._watches.values():
            self._node.leave(watch.subscription, at_once=at_once)
        self._watches.clear()

    # --- LobbySocket

    def is_subscribed(self, chat_id: int) -> bool:
        """Whether it gets what is pushed in the chat anyway."""
        return chat_id in self._watches

    def notify(self, notice: Notice) -> None:
        """Tell it something apart from any chat."""
        self.answer(notice, None)

    # --- commands

    def _handle_now(self, request: Request) -> bool:
        match request.command, self._actions, request.chat_id:
            case Ping(), _, _:
                self.answer(Pong(), request)
            case Hello(message=message), _, _:
                self.answer(Greeting(self.client_id, self.person.id if self.person else None, message), request)
            case Unsubscribe(), _, int(chat_id):
                self._unsubscribe(chat_id)
                self.answer(Done(), request)
            case Subscribe(), _, _:
                return False
            case _, None, _:
                self.refuse(NEEDS_A_USER, request)
                return True
            case (EditMessage() | DeleteMessage()) as command, ChatActions() as actions, int(chat_id):
                actions.change(request, chat_id, command)  # which counts it
                return True
            case _:
                return False
        self.done(request)
        return True

    async def _handle(self, request: Request) -> None:
        match request.command, self._actions, request.chat_id:
            case Subscribe(since=since), _, int(chat_id):
                await self._subscribe(request, chat_id, since)
            case SendMessage() as command, ChatActions() as actions, int(chat_id):
                await actions.send(request, chat_id, command)
            case _, ChatActions() as actions, int(chat_id):
                sight = await self._look(chat_id)
                if sight is None:
                    self.refuse(not_in_chat(), request)
                else:
                    await self._in_sight(request, actions, chat_id, sight)

    async def _in_sight(self, request: Request, actions: ChatActions, chat_id: int, sight: Sight) -> None:
        match request.command:
            case GetHistory() as command:
                await actions.history(request, chat_id, command, sight.last_seq)
            case GetPresence():
                await actions.presence(request, chat_id)
            case _ if not sight.is_member:
                self.refuse(not_in_chat(), request)
            case SetTyping(is_typing=is_typing):
                actions.set_typing(request, chat_id, is_typing)
            case MarkRead(seq=None) if chat_id not in self._watches:
                self.refuse(
                    invalid_field("seq", "an integer, as nothing of the chat was written to this socket"), request
                )
            case MarkRead(seq=seq):
                reach = self._watches[chat_id].subscription.pos if seq is None else seq
                await actions.mark_read(request, chat_id, min(reach, sight.last_seq))

    async def _look(self, chat_id: int) -> Sight | None:
        """What the user may see of the chat now; a subscription knows it without asking.

        Raises: StorageUnavailable.
        """
        watch = self._watches.get(chat_id)
        if watch is not None and watch.subscription.local.timeline.is_started:
            subscription = watch.subscription
            local = subscription.local
            return Sight(local.timeline.last_seq, local.epoch, is_member=subscription.seat is not None)
        return await look(self._node.membership, chat_id, self.person.id if self.person else None)

    # --- subscriptions

    async def _subscribe(self, request: Request, chat_id: int, since: Since | None) -> None:
        if chat_id not in self._watches and len(self._watches) >= MAX_SUBSCRIPTIONS:
            self.refuse(_TOO_MANY, request)
            return
        user = self.person
        if chat_id in self._watches and self._watches[chat_id].subscription.seat is not None:
            sight = await self._look(chat_id)  # a member is one until evicted: it may begin anew without the store
        else:
            sight = await look(self._node.membership, chat_id, user.id if user else None)
        if sight is None:
            self.refuse(not_in_chat(), request)
            return
        watch = Watch(self, request)
        if user is not None and sight.is_member:
            seat = Seat(chat_id, user.id, user.username, uuid.uuid4().hex)
            claim = await self._node.take_seat(seat) or 0
            watch.subscription = self._node.register(watch, seat, claim)
        else:
            watch.subscription = self._node.visit(watch, chat_id)
        if self._is_over:
            self._node.leave(watch.subscription, at_once=True)
            return
        self._unsubscribe(chat_id)  # only now, so that the user's presence does not flap
        self._watches[chat_id] = watch
        self._node.tasks.spawn(self._go_live(watch, since, sight.epoch), "go live")

    async def _go_live(self, watch: Watch, since: Since | None, epoch: str) -> None:
        try:
            if since is None:
                await self._node.go_live(watch.subscription, None, epoch)
                return
            async with self._replaying:
                await self._node.go_live(watch.subscription, since, epoch)
        except StorageUnavailable:
            # The others may go on: the store is asked chat by chat.
            if self._forget(watch):
                watch.fail(UNAVAILABLE)
        except Exception:  # a defect of ours must not leave a subscription that is never told anything
            if self._forget(watch):
                watch.fail(UNAVAILABLE)
            raise

    def _unsubscribe(self, chat_id: int) -> None:
        watch = self._watches.get(chat_id)
        if watch is not None and self._forget(watch):
            watch.supersede()

    def _forget(self, watch: Watch) -> bool:
        """End the subscription; False if it had ended already."""
        chat_id = watch.subscription.chat_id
        if self._watches.get(chat_id) is not watch:
            return False
        del self._watches[chat_id]
        self._node.leave(watch.subscription, at_once=True)
        return True

    def on_evicted(self, watch: Watch) -> None:
        """The user was removed from the chat; the feed says so on all of the user's sockets."""
        if self._forget(watch):
            self._feed.on_evicted(watch.subscription.chat_id, watch.subscription.user_id)
