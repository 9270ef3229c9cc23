"""An application on the public Python client, in a chat: measures what it sees."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from chat_gateway_client import CaughtUp, Client, Disconnected, Message, Rejected, Reset

from loadtests.accounts import TargetRefused
from loadtests.event_loop import EventLoop
from loadtests.gap_detector import Position
from loadtests.measure import WS, Measure, Name
from loadtests.participants import Seat
from loadtests.stamp import age_s, new_stamp

CLOSE_S: Final = 10.0
DRAIN: Final = 4000


class AppMember:
    """Connected from `enter` to `close`; what is lost in between is the client's business.

    `acked` and `renew` are as for `Member`, whose place it takes in a crowd.
    """

    def __init__(
        self,
        seat: Seat,
        base_url: str,
        measure: Measure,
        acked: Callable[[int, str], None],
        renew: Callable[[], str],
        loop: EventLoop,
    ) -> None:
        self._seat = seat
        self._measure = measure
        self._acked = acked
        self._renew = renew
        self._loop = loop
        self._base_url = base_url
        self._client: Client | None = None
        self._first_seq = 0
        """Where the subscription began."""
        self._position: Position | None = None
        """None before the first event."""
        self._unacked: set[str] = set()
        self._is_live = threading.Event()
        self._is_own_doing = False

    def enter(self, timeout_s: float = 30.0) -> bool:
        """Connect. Whether it is live in time; otherwise it keeps trying."""
        self._loop.run(self._attend())
        return self._is_live.wait(timeout_s)

    def say(self, text: str) -> None:
        """Send a message, unless it was never connected."""
        if self._client is not None:
            stamp = new_stamp()
            self._unacked.add(stamp)
            self._loop.run(self._send(self._client, stamp, text))

    def drop(self) -> None:
        """Lose the connection without a close frame; the client reconnects by itself."""
        if self._client is not None:
            self._is_own_doing = True
            self._loop.run(self._cut(self._client))

    def come_back(self) -> None:
        """Nothing: it is never away."""

    @property
    def unacked(self) -> int:
        """Number of unacknowledged messages."""
        return len(self._unacked)

    def lacks(self, last: Mapping[int, int]) -> bool:
        """Whether it was connected and has not received all events of its chat; `last` is the last seq by chat."""
        heard = self._first_seq if self._position is None else self._position.seq
        return self._is_live.is_set() and heard < last.get(self._seat.chat_id, 0)

    def finish(self, patience_s: float) -> None:
        """Close once everything is acknowledged or after the timeout; blocks."""
        deadline = time.monotonic() + patience_s
        while self.unacked and time.monotonic() < deadline:
            time.sleep(0.05)
        self.close()

    def close(self) -> None:
        """Disconnect finally; blocks. Messages that are still unacknowledged are failures."""
        for _ in range(self.unacked):
            self._measure.failed(WS, Name.UNACKED, "not acknowledged by the end")
        self._unacked.clear()
        if self._client is not None:
            with suppress(TimeoutError):
                self._loop.run(self._client.close()).result(CLOSE_S)

    # in the event loop

    async def _attend(self) -> None:
        started = time.perf_counter()
        try:
            async with Client(self._base_url, self._token, client_id="load") as client:
                await client.subscribe(self._seat.chat_id)
                position = client.position(self._seat.chat_id)
                self._first_seq = 0 if position is None else position.seq
                self._client = client
                self._measure.took(WS, Name.CONNECT, time.perf_counter() - started)
                self._is_live.set()
                async for event in client.events():
                    if isinstance(event, Message):
                        self._hear(event, client)
                    elif isinstance(event, CaughtUp):
                        self._is_back(client)
                    elif isinstance(event, Reset):
                        self._measure.failed(WS, Name.GAP, "reset: the server's history is another one")
                        self._position = Position(event.position.seq)
        except Rejected as error:
            self._measure.failed(WS, Name.REFUSED, error.code)
        except Disconnected as error:
            self._measure.failed(WS, Name.CLOSED, str(error.code))

    async def _token(self, why: str) -> str:
        if why == "connect":
            return self._seat.token
        try:
            return await asyncio.to_thread(self._renew)
        except TargetRefused:
            self._measure.failed(WS, Name.CONNECT, "no new token")
            raise

    async def _cut(self, client: Client) -> None:
        client.cut()

    def _is_back(self, client: Client) -> None:
        """The client has connected again, and all missed events have come."""
        if client.connected_at is not None:
            self._measure.took(WS, Name.RESUME, time.time() - client.connected_at)
        if client.close_code != DRAIN and not self._is_own_doing:
            self._measure.failed(WS, Name.CLOSED, str(client.close_code))
        self._is_own_doing = False

    def _hear(self, message: Message, client: Client) -> None:
        if self._position is None:  # what came right after the subscription began is before `_first_seq`
            self._position = Position(min(self._first_seq, message.seq - 1))
        off = self._position.hear(message.seq)
        if off > 0:
            self._measure.failed(WS, Name.GAP, "a hole in the chat's seqs")
        elif off < 0:
            self._measure.failed(WS, Name.DUPLICATE, "a seq that was there before")
        elif message.sender is not None and message.sender.id != client.user_id:
            age = age_s(message.client_msg_id or "")
            if age is not None:
                is_replayed = client.connected_at is not None and time.time() - age < client.connected_at
                self._measure.took(WS, Name.REPLAY if is_replayed else Name.DELIVERY, age)

    async def _send(self, client: Client, stamp: str, text: str) -> None:
        started, connected_at = time.perf_counter(), client.connected_at
        try:
            stored = await client.send(self._seat.chat_id, text, client_msg_id=stamp)
        except Rejected as error:
            self._measure.failed(WS, Name.REFUSED, error.code)
        except Disconnected:
            return  # it remains unacknowledged
        else:
            name = Name.ACK if connected_at == client.connected_at else Name.LATE_ACK
            self._measure.took(WS, name, time.perf_counter() - started)
            self._acked(stored.seq, stamp)
        self._unacked.discard(stamp)
