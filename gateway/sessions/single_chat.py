"""Sessions of sockets that are in exactly one chat from connect to disconnect."""

import asyncio

from gateway.delivery.subscription import PendingSubscription
from gateway.dialects.base import Request
from gateway.interfaces.connection import Connection
from gateway.interfaces.membership import ChatAccess
from gateway.interfaces.session import OnClosed
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.commands import (
    GetHistory,
    GetPresence,
    MarkRead,
    Ping,
    Refresh,
    SendMessage,
    SetTyping,
)
from gateway.protocol.refusals import refusal_reply
from gateway.protocol.replies import Established, Pong, Reply
from gateway.sessions.command_handler import STORED, CommandHandler
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.session import Session
from storage.errors import StorageUnavailable
from storage.records import Refusal


class SingleChatSession(Session):
    """The base of all single-chat sessions."""

    def __init__(
        self,
        context: SessionContext,
        peer: Peer,
        pending: PendingSubscription,
        connection: Connection,
        on_closed: OnClosed,
    ) -> None:
        super().__init__(context, peer, connection, on_closed)
        self._pending = pending
        self._subscription = context.node.register(
            self, pending.seat, pending.claim, local=pending.local, is_reader=pending.is_reader
        )
        if pending.members_version is not None:
            self._subscription.admitted_at(pending.members_version)

    @property
    def log_fields(self) -> dict[str, object]:
        """The ids that identify the session and its chat in the log."""
        return super().log_fields | {"chat_id": self._pending.seat.chat_id}

    def attach(self) -> None:
        """Start; commands are read only once the session's position is fixed.

        Otherwise its own message might be stored before that position, and be neither pushed after the greeting nor
        replayed.
        """
        self._connection.pause_reading()
        super().attach()

    def _begin(self) -> None:
        pending = self._pending
        if self._closing is None and self._node.begin(self._subscription, pending.since, pending.epoch):
            return
        self._context.tasks.spawn(self._go_live(), "go live")

    async def _go_live(self) -> None:
        try:
            await self._node.go_live(self._subscription, self._pending.since, self._pending.epoch)
        except StorageUnavailable:
            self.close(Disconnect(Close.POSITION_LOST, "the store is not available; come back with since"))
        except Exception:  # a defect must not leave an open socket that receives nothing
            self.close(Disconnect(Close.INTERNAL, "come back with since"))
            raise

    def _end(self, *, at_once: bool) -> None:
        self._node.leave(self._subscription, at_once=at_once)

    def tell(self, reply: Reply) -> None:
        """Write an unsolicited reply; the greeting lets commands be read."""
        super().tell(reply)
        if isinstance(reply, Established):
            # Runs once the session is live or has started to replay.
            asyncio.get_running_loop().call_soon(self._connection.resume_reading)


class ChatSession(SingleChatSession):
    """The session of a member, who may use every command of its dialect."""

    def __init__(
        self,
        context: SessionContext,
        peer: Peer,
        pending: PendingSubscription,
        connection: Connection,
        on_closed: OnClosed,
    ) -> None:
        super().__init__(context, peer, pending, connection, on_closed)
        assert peer.person is not None, "members are users"  # noqa: S101
        self._actions = CommandHandler(context, peer.person, self)

    def _end(self, *, at_once: bool) -> None:
        self._actions.stop_typing()
        super()._end(at_once=at_once)

    def _release(self) -> None:
        super()._release()
        del self._actions

    def _handle_now(self, request: Request) -> bool:
        match request.command:
            case SendMessage():  # first, since nearly all are
                return False
            case Ping():
                self.answer(Pong(), request)
                self.done(request)
            case SetTyping() if self._subscription.is_reader:
                self.refuse(refusal_reply(Refusal.READER), request)
            case SetTyping(is_typing=is_typing):
                self._actions.set_typing(request, self._subscription.chat_id, is_typing)
            case _:
                return False
        return True

    def _start(self, request: Request) -> bool:
        command = request.command
        if not isinstance(command, STORED):
            return False
        self._actions.store(request, self._subscription.chat_id, command, self._proceed, by=self._subscription)
        return True

    async def _handle(self, request: Request) -> None:
        chat_id, last_seq = self._subscription.chat_id, self._subscription.local.reorder_buffer.last_seq
        match request.command:
            case MarkRead(seq=seq):
                position = self._subscription.pos if seq is None else min(seq, last_seq)
                await self._actions.mark_read(request, chat_id, position)
            case GetHistory() as command:
                access = ChatAccess(chat_id, last_seq, self._subscription.local.epoch, is_member=True)
                await self._actions.history(request, access, command)
            case GetPresence():
                await self._actions.presence(request, chat_id)
            case Refresh() as command:
                await self.refresh(request, command)


class RoomSession(SingleChatSession):
    """The session of a room guest. Its dialect has no commands: each message counts as rejected (`MAX_REFUSALS`)."""

    def _handle_now(self, request: Request) -> bool:
        raise NotImplementedError("rooms have no commands")

    def _start(self, request: Request) -> bool:
        raise NotImplementedError("rooms have no commands")

    async def _handle(self, request: Request) -> None:
        raise NotImplementedError("rooms have no commands")
