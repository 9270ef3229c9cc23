"""A well-behaved client in a chat: reconnects with `since`, resends unacknowledged messages and detects what is
missing.

It uses threads, which Locust patches to greenlets.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.accounts import TargetRefused
from loadtests.chat_socket import ABNORMAL, ChatSocket, Frame, Lost, Refused
from loadtests.gap_detector import Position
from loadtests.measure import WS, Measure, Name
from loadtests.participants import Seat
from loadtests.stamp import age_s, new_stamp

DRAIN: Final = 4000
UNAUTHORIZED: Final = 4401
FIRST_BACKOFF_S: Final = 0.5
MAX_BACKOFF_S: Final = 15.0

logger = logging.getLogger("loadtests")


@dataclass(frozen=True, slots=True)
class Unacked:
    """A message that was first sent `at`, on this socket."""

    text: str
    at: float
    socket: ChatSocket | None


class Member:
    """Connected from `enter` to `close`, except for absences by `leave` and network failures.

    `acked` is called with the seq and id of each acknowledged message. `renew` returns a new token for an expired one
    or raises TargetRefused.
    """

    def __init__(
        self,
        seat: Seat,
        base_url: str,
        measure: Measure,
        acked: Callable[[int, str], None],
        renew: Callable[[], str],
    ) -> None:
        self._seat = seat
        self._url = f"{base_url.replace('http', 'ws', 1)}/ws/chat/{seat.chat_id}/"
        self._token = seat.token
        self._measure = measure
        self._acked = acked
        self._renew = renew
        self._position: Position | None = None
        self._unsent: deque[str] = deque()
        self._unacked: dict[str, Unacked] = {}
        self._socket: ChatSocket | None = None
        self._is_live = threading.Event()
        self._is_wanted = threading.Event()
        self._is_over = False
        self._is_own_doing = False
        self._thread = threading.Thread(target=self._keep, daemon=True)

    # called by its user

    def enter(self, timeout_s: float = 30.0) -> bool:
        """Connect. Whether it is live in time; otherwise it keeps trying."""
        self._is_wanted.set()
        self._thread.start()
        return self._is_live.wait(timeout_s)

    def say(self, text: str) -> None:
        """Send a message now, or as soon as there is a connection."""
        if self._is_live.is_set():
            self._send_new(text)
        else:
            self._unsent.append(text)

    def leave(self) -> None:
        """Disconnect until `come_back`."""
        self._is_wanted.clear()
        self._is_live.clear()
        if self._socket is not None:
            self._is_own_doing = True
            self._socket.leave()

    def come_back(self) -> None:
        """Reconnect after `leave`."""
        self._is_wanted.set()

    def drop(self) -> None:
        """Lose the connection without a close frame; the member reconnects by itself."""
        if self._socket is not None:
            self._is_own_doing = True
            self._socket.cut()

    @property
    def unacked(self) -> int:
        """Number of unacknowledged messages."""
        return len(self._unacked) + len(self._unsent)

    def lacks(self, last: Mapping[int, int]) -> bool:
        """Whether it was connected and has not received all events of its chat; `last` is the last seq by chat."""
        return self._position is not None and self._position.seq < last.get(self._seat.chat_id, 0)

    def finish(self, patience_s: float) -> None:
        """Close once everything is acknowledged or after the timeout; blocks."""
        if self.unacked:
            self.come_back()
        deadline = time.monotonic() + patience_s
        while self.unacked and time.monotonic() < deadline:
            time.sleep(0.05)
        self.close()

    def close(self) -> None:
        """Disconnect finally. Messages that are still unacknowledged are failures."""
        self._is_over = True
        self._is_wanted.set()  # wakes a disconnected member
        if self._socket is not None:
            self._socket.leave()
        for stamp, message in self._unacked.items():
            fields = (
                stamp,
                self._seat.login,
                self._seat.chat_id,
                time.perf_counter() - message.at,
                self._is_live.is_set(),
            )
            logger.warning("No ack: %s of %s to chat %d, sent %.1f s ago; connected: %s", *fields)
        for _ in range(self.unacked):
            self._measure.failed(WS, Name.UNACKED, "not acknowledged by the end")
        self._unacked.clear()
        self._unsent.clear()

    # run by its connection

    def _keep(self) -> None:
        losses = 0
        while True:
            self._is_wanted.wait()
            if self._is_over:
                return
            started = time.perf_counter()
            try:
                self._attend(started)
            except Refused as refusal:
                self._measure.failed(WS, Name.CONNECT, refusal.what, time.perf_counter() - started)
                losses += 1
                if refusal.status == 401:
                    self._renew_token()
                pause_s = _jitter(losses)
            except Lost as loss:
                losses = 0 if self._is_live.is_set() else losses + 1
                pause_s = self._after(loss, losses)
            self._is_live.clear()
            self._socket = None
            if self._is_wanted.is_set() and not self._is_over:
                time.sleep(pause_s)

    def _attend(self, started: float) -> None:
        """Connect and read until the connection ends. Raises: Refused, or Lost at the end."""
        since = self._position
        query = "" if since is None else f"?since={since.seq}"
        self._socket = socket = ChatSocket(self._url + query, self._token)
        try:
            if self._is_over or not self._is_wanted.is_set():  # closed or left during the connect
                socket.leave()
            while True:
                frame, size = socket.receive()
                self._hear(frame, size, started)
        finally:
            socket.close()

    def _after(self, loss: Lost, losses: int) -> float:
        """Handle a lost connection; the seconds until the next attempt."""
        is_own_doing, self._is_own_doing = self._is_own_doing, False
        if is_own_doing or self._is_over or not self._is_wanted.is_set():
            return _jitter(1)
        if loss.code == DRAIN:
            return _jitter(1) if loss.retry_after_s is None else loss.retry_after_s
        what = f"{loss.code} {loss.reason}" if loss.code == ABNORMAL else str(loss.code)
        self._measure.failed(WS, Name.CLOSED, what.strip())
        if loss.code == UNAUTHORIZED:
            self._renew_token()
        elif loss.code > UNAUTHORIZED:  # no reconnect: 4403, 4409, 4429 …
            self._is_wanted.clear()
        return _jitter(losses + 1)

    def _renew_token(self) -> None:
        """Renew the token; if that fails, the next attempt tries again."""
        try:
            self._token = self._renew()
        except TargetRefused:
            self._measure.failed(WS, Name.CONNECT, "no new token")

    def _hear(self, frame: Frame, size: int, started: float) -> None:
        match frame["type"]:
            case "message":
                self._message(frame["data"], size, "duplicate" in frame)
            case "connection_established":
                if self._position is None:
                    self._position = Position(frame["last_seq"])
                    self._went_live(Name.CONNECT, started)
                for stamp, message in list(self._unacked.items()):
                    self._send(stamp, message)
            case "caught_up":
                self._went_live(Name.RESUME, started)
            case "error":
                self._refused(frame)
            case "reset":
                self._measure.failed(WS, Name.GAP, "reset: the server's history is another one")
                self._position = Position(frame["last_seq"])
                self._went_live(Name.RESUME, started)
            case _:
                pass  # presence, typing, read receipts: best effort and therefore not checked

    def _went_live(self, name: Name, started: float) -> None:
        self._measure.took(WS, name, time.perf_counter() - started)
        self._is_live.set()
        while self._unsent:  # includes messages since the greeting
            self._send_new(self._unsent.popleft())

    def _message(self, message: Frame, size: int, is_repeated_answer: bool) -> None:
        stamp, seq = message["client_msg_id"], message["seq"]
        waiting = self._unacked.pop(stamp, None)
        if waiting is not None:
            name = Name.ACK if waiting.socket is self._socket else Name.LATE_ACK
            self._measure.took(WS, name, time.perf_counter() - waiting.at, size)
            self._acked(seq, stamp)
        if is_repeated_answer or self._position is None:
            return  # the response to a retry, not a delivery
        off = self._position.hear(seq)
        if off > 0:
            self._measure.failed(WS, Name.GAP, "a hole in the chat's seqs")
        elif off < 0:
            self._measure.failed(WS, Name.DUPLICATE, "a seq that was there before")
        elif waiting is None and (age := age_s(stamp)) is not None:
            self._measure.took(WS, Name.DELIVERY if self._is_live.is_set() else Name.REPLAY, age, size)

    def _refused(self, frame: Frame) -> None:
        """An error names no message; a user sends one at a time, so it belongs to the oldest."""
        self._measure.failed(WS, Name.REFUSED, frame["code"])
        if self._unacked:
            del self._unacked[next(iter(self._unacked))]

    def _send_new(self, text: str) -> None:
        stamp = new_stamp()
        self._unacked[stamp] = message = Unacked(text, time.perf_counter(), self._socket)
        self._send(stamp, message)

    def _send(self, stamp: str, message: Unacked) -> None:
        if self._socket is not None:
            self._socket.send({"type": "message", "text": message.text, "client_msg_id": stamp})


def _jitter(losses: int) -> float:
    """Full jitter, so that clients that lost their connections together do not reconnect together."""
    return random.uniform(0, min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(losses, 10)))
