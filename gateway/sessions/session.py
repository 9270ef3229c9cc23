"""The state over one socket, in any dialect: commands in, replies and pushes out.

A session has no socket, only a `Connection`. Messages arrive in `on_message`, which never awaits. The commands of one
session are handled in order. One that stores an event waits for its admission by a callback, since a task took a tenth
of a message's time; others that need Redis or the database have a task each. The subclasses implement the commands.
"""

import logging
import math
import time
from abc import ABC, abstractmethod
from collections import deque

from gateway.dialects.base import Dialect, Request
from gateway.errors import RedisUnavailable
from gateway.interfaces.connection import Connection
from gateway.interfaces.presence import is_guest
from gateway.interfaces.session import OnClosed
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.commands import (
    GetHistory,
    GetPresence,
    GetUsersPresence,
    MarkRead,
    Refresh,
    Subscribe,
    SubscribePresence,
)
from gateway.protocol.frames import text_frame
from gateway.protocol.refusals import NOT_REFRESHED, REFRESHED_TOO_OFTEN, UNAVAILABLE, commands_limited
from gateway.protocol.replies import ErrorReply, Refreshed, Reply, TokenExpiring
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.send_queue import SendQueue
from storage.errors import StorageUnavailable
from storage.records import Person

logger = logging.getLogger("gateway.session")

MAX_WAITING = 64
"""Commands of a session that may be under way or wait before reading from its socket pauses."""
EXPIRY_WARNING_S = 30.0
REFRESH_INTERVAL_S = 1.0
"""A refresh verifies a signature and reads the database."""
MAX_REFUSALS = 200
REFUSAL_WINDOW_S = 60.0
"""A socket is closed after MAX_REFUSALS rejected commands within this time (docs/protocol.md, "Limits")."""


class Session(ABC):
    """The state of one socket. Implements ConnectionListener, OpenSession and Recipient."""

    def __init__(
        self,
        context: SessionContext,
        peer: Peer,
        connection: Connection,
        on_closed: OnClosed,
    ) -> None:
        self.dialect: Dialect = peer.dialect
        self.person = peer.person
        self.connection_id = peer.connection_id
        self.credential = peer.credential
        self.wants_expiry_warning = peer.wants_expiry_warning
        self._warned_of = 0.0
        self._refreshed_at = -math.inf
        self._context = context
        self._node = context.node
        self._metrics = context.metrics
        self._connection = connection
        self.outlet = SendQueue(connection, on_slow=self._on_slow)
        """The send queue; when it is full, this session is closed as a slow consumer."""
        self._on_closed = on_closed
        self._limits = context.limits.of_socket(peer.network if peer.person is None else peer.person.id)
        self._waiting: list[Request] = []
        self._is_busy = False
        """Whether a command is under way; the next ones wait."""
        self._is_starting = False
        """Whether `_start` runs: a `_proceed` within it reports that the command is done, and the caller goes on."""
        self._refusals: deque[float] | None = None
        self._is_attached = False
        self._closing: Disconnect | None = None
        self._is_closed = False
        """Whether its socket is closed."""

    @property
    def log_fields(self) -> dict[str, object]:
        """The ids that identify the session in the log."""
        return {"user_id": self.person.id if self.person else None, "connection_id": self.connection_id}

    @property
    def buffered(self) -> int:
        """Bytes written but not yet accepted by the kernel."""
        return self._connection.buffered

    # --- implemented by subclasses

    @abstractmethod
    def _begin(self) -> None:
        """Start the session: the handshake is complete."""

    @abstractmethod
    def _end(self, *, at_once: bool) -> None:
        """Release what the session holds; unless `at_once`, its user is likely to reconnect within seconds."""

    @abstractmethod
    def _handle_now(self, request: Request) -> bool:
        """Handle a command that needs no await; False if it needs one."""

    @abstractmethod
    def _start(self, request: Request) -> bool:
        """Start a command that stores an event; `_proceed` is called once it is admitted or rejected, perhaps at once.

        False if it stores none.
        """

    @abstractmethod
    async def _handle(self, request: Request) -> None:
        """Handle a command that `_handle_now` and `_start` left.

        Raises: StorageUnavailable, RedisUnavailable (the command is then rejected as `unavailable`).
        """

    # --- OpenSession

    def attach(self) -> None:
        """Start to receive messages: the handshake is complete."""
        self._is_attached = True
        if self.person is not None and not is_guest(self.person.id):
            self._context.online.arrive(self.person.id)
        self._connection.attach(self)
        self._begin()
        if self._closing is not None:
            self._connection.close(self._closing.code, self._closing.reason)

    def abandon(self) -> None:
        """Release everything, as the handshake failed."""
        self._end(at_once=True)

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; frames that were queued before are written first."""
        if self._closing is not None:
            return
        self._closing = disconnect
        if self._is_attached:
            self._connection.close(disconnect.code, disconnect.reason)

    def rename(self, person: Person) -> None:
        """The user has these names from now on."""
        self.person = person

    def warn_of_expiry(self, now: float) -> None:
        """Tell a client that asked for it, once for each token, that the session ends within EXPIRY_WARNING_S."""
        expires_at = self.credential.expires_at
        if self.wants_expiry_warning and self._warned_of != expires_at <= now + EXPIRY_WARNING_S:
            self._warned_of = expires_at
            self.tell(TokenExpiring(max(0, int(expires_at - now))))

    # --- output

    async def wait_writable(self) -> bool:
        """Wait until the send queue has room for a page; False if the socket is closed."""
        return await self.outlet.wait_writable()

    def tell(self, reply: Reply) -> None:
        """Write an unsolicited reply."""
        self.answer(reply, None)

    def answer(self, reply: Reply, request: Request | None) -> None:
        """Write the reply to a request (None: unsolicited), if the dialect has one."""
        payload = self.dialect.reply(reply, request)
        if payload is not None:
            self.outlet.offer(text_frame(payload))

    def refuse(self, error: ErrorReply, request: Request | None) -> None:
        """Reply with an error, count it, and close the socket after MAX_REFUSALS within REFUSAL_WINDOW_S."""
        self.answer(error, request)
        self._metrics.refused(self.dialect.name, request.name if request else "unknown", error.code)
        logger.info("command_refused", extra={"fields": self.log_fields | {"code": error.code}})
        now = time.monotonic()
        if self._refusals is None:
            self._refusals = deque(maxlen=MAX_REFUSALS)
        self._refusals.append(now)
        if len(self._refusals) == MAX_REFUSALS and now - self._refusals[0] <= REFUSAL_WINDOW_S:
            self.close(Disconnect(Close.ABUSE, "too many refused commands"))

    def fail(self, request: Request) -> None:
        """Reject a command that raised. It must not close the socket: the client would reconnect and send it again."""
        logger.exception("command_failed", extra={"fields": {"command": request.name}})
        self.refuse(UNAVAILABLE, request)

    def done(self, request: Request, seconds: float | None = None) -> None:
        """Count a command that succeeded; `seconds` is how long it took to store, if it stored an event."""
        self._metrics.handled(self.dialect.name, request.name, seconds)
        if type(request.command) in _REMOTE_COMMANDS:
            self._metrics.answered(self.dialect.name, time.perf_counter() - request.came_at)

    async def refresh(self, request: Request, command: Refresh) -> None:
        """Continue with another token of the same user, at most once in REFRESH_INTERVAL_S.

        Raises: StorageUnavailable.
        """
        now = time.monotonic()
        if now - self._refreshed_at < REFRESH_INTERVAL_S:
            self.refuse(REFRESHED_TOO_OFTEN, request)
            return
        self._refreshed_at = now
        renewed = await self._context.renew(command.token)
        if renewed is None or renewed.user_id != self.credential.user_id:
            self.refuse(NOT_REFRESHED, request)
            return
        self.credential = renewed
        self.answer(Refreshed(renewed.expires_at), request)
        self.done(request)

    def _on_slow(self) -> None:
        self._metrics.slow_consumers.inc()
        self.close(Disconnect(Close.SLOW_CONSUMER, "too slow; come back with since"))

    # --- input: ConnectionListener

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Handle a command, or queue it while another one is under way."""
        self._take(self.dialect.decode(payload, is_text))

    def _take(self, request: Request | ErrorReply) -> None:
        if isinstance(request, ErrorReply):
            self.refuse(request, None)
        elif wait_s := self._limits.wait_s(request.command):
            self.refuse(commands_limited(wait_s), request)
        elif self._is_busy:
            self._waiting.append(request)
            if len(self._waiting) + 1 == MAX_WAITING:
                self._connection.pause_reading()
        else:
            self._is_busy = not self._is_done(request)

    def on_closed(self, code: int) -> None:
        """End the session, as the socket is closed. Accepted commands are still executed."""
        self._end(at_once=code not in _LIKELY_TO_RECONNECT)
        if self.person is not None and not is_guest(self.person.id):
            self._context.online.depart(self.person.id)
        self._on_closed(self, code)
        self._is_closed = True
        if not self._is_busy:
            self._release()

    def _is_done(self, request: Request) -> bool:
        """Handle a command, as far as possible without waiting; False if `_proceed` follows."""
        try:
            if self._handle_now(request):
                return True
            self._is_starting = True
            if self._start(request):
                return not self._is_starting
        except Exception:
            self.fail(request)
            return True
        finally:
            self._is_starting = False
        self._context.tasks.spawn(self._await(request), "session")
        return False

    async def _await(self, request: Request) -> None:
        try:
            await self._handle(request)
        except (StorageUnavailable, RedisUnavailable):
            self.refuse(UNAVAILABLE, request)
        except Exception:
            self.fail(request)
        self._proceed()

    def _proceed(self) -> None:
        """Handle the commands that wait: the one that was under way is done."""
        if self._is_starting:
            self._is_starting = False
            return
        while self._waiting:
            request = self._waiting.pop(0)
            if len(self._waiting) == MAX_WAITING // 2:
                self._connection.resume_reading()
            if not self._is_done(request):
                return
        self._is_busy = False
        if self._is_closed:
            self._release()

    def _release(self) -> None:
        """Let go of what refers to this session, as it is closed and no command is under way.

        Without cycles its memory is free at once; else only after a full collection of garbage, seldom and slow.
        """
        self.outlet.release()


_LIKELY_TO_RECONNECT = frozenset(
    {1006, 1011, 1012, Close.DRAIN, Close.SLOW_CONSUMER, Close.POSITION_LOST, Close.INTERNAL}
)
"""Close codes after which a client is likely to reconnect within seconds: its user stays present for a while."""
_REMOTE_COMMANDS = frozenset(
    {GetHistory, GetPresence, GetUsersPresence, MarkRead, Refresh, Subscribe, SubscribePresence}
)
"""Commands that store no event, but whose reply waits for Redis or the database."""
