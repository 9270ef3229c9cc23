"""The allowance of a socket and the flags that stop its reading, with a socket that records and a clock that is set."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.transport import incoming
from gateway.transport.incoming import BURST, PER_SECOND, Incoming
from gateway.transport.server_queues import SLOW_S, InputLimits


@pytest.fixture(autouse=True)
def phase_checks() -> None:
    """Not here: this socket is not one of ours, and has no phase."""


class Waiting:
    """A queue that calls nothing."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.time_for = 0
        """How often `has_time` is still true."""

    def has_time(self) -> bool:
        self.time_for -= 1
        return not self.items and self.time_for >= 0

    def add(self, one: Any) -> None:
        if one not in self.items:
            self.items.append(one)

    def discard(self, one: Any) -> None:
        if one in self.items:
            self.items.remove(one)


class Socket:
    """A socket, its transport and its server's queues: whether it is read, where it waits, and what it handled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(incoming, "monotonic", lambda: self.now)
        self.read_paused = self.disconnected = self.close_sent = self.closing = False
        self.is_read = True
        self.turns, self.slowed = Waiting(), Waiting()
        self.handled: list[tuple[bytes, int]] = []
        self.portion, self.cost = 100, 0
        self.on_portion: Callable[[], None] | None = None
        self.counts = {"slowed": 0, "flood": 0, "closed": 0, "resumed": 0}
        limits = InputLimits(lambda: self.count("slowed"), lambda: self.count("flood"))
        queues: Any = SimpleNamespace(turns=self.turns, slowed=self.slowed, limits=limits)
        self.incoming = Incoming(self, self, queues)

    def count(self, name: str) -> None:
        self.counts[name] += 1

    @property
    def waits(self) -> tuple[int, int]:
        """In how many places of `turns` and of `slowed` the socket waits."""
        return len(self.turns.items), len(self.slowed.items)

    def refill(self, after_s: float = SLOW_S) -> None:
        """Let the time pass and `slowed` call."""
        self.now += after_s
        self.slowed.discard(self.incoming)
        self.incoming.refill()

    def handle_input(self, data: bytes, at: int) -> int:
        self.handled.append((data, at))
        self.incoming.allowance -= self.cost
        if self.on_portion is not None:
            self.on_portion()
        return min(at + self.portion, len(data))

    def close_flood(self) -> None:
        self.count("closed")
        self.close_sent = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.count("resumed")
        self.is_read = True


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Socket]:
    socket = Socket(monkeypatch)
    assert (socket.incoming.allowance, socket.incoming.is_held, socket.incoming.is_paused) == (BURST, False, False)
    yield socket
    assert socket.incoming.is_held or not socket.incoming._unread


def test_rest_of_read_waits_for_turn(socket: Socket) -> None:
    socket.incoming.allowance = 1
    socket.incoming.hold_rest(b"abcd", 2)
    assert (socket.incoming.is_held, socket.is_read, socket.waits) == (True, False, (1, 0))
    socket.incoming.proceed()
    assert socket.handled == [(b"abcd", 2)]
    assert (socket.incoming.is_held, socket.is_read, socket.waits) == (False, True, (0, 0))
    assert (socket.incoming.allowance, socket.counts["slowed"]) == (1, 0)


@pytest.mark.parametrize(("time_for", "handled"), [(0, [0]), (1, [0, 2]), (9, [0, 2, 4])])
def test_read_continues_while_there_is_time(socket: Socket, time_for: int, handled: list[int]) -> None:
    socket.portion, socket.turns.time_for = 2, time_for
    socket.incoming.handle(b"abcdef", 0)
    assert [at for _, at in socket.handled] == handled
    assert (socket.incoming.is_held, socket.waits) == (len(handled) < 3, (int(len(handled) < 3), 0))


def test_read_waits_behind_other_sockets(socket: Socket) -> None:
    socket.portion, socket.turns.time_for = 2, 9
    socket.turns.add("another socket")
    socket.incoming.handle(b"abcdef", 0)
    assert (len(socket.handled), socket.waits) == (1, (2, 0))


@pytest.mark.parametrize("name", ["is_paused", "read_paused", "disconnected", "closing"])
def test_read_stops_when_a_portion_stops_it(socket: Socket, name: str) -> None:
    socket.portion, socket.turns.time_for = 2, 9
    socket.on_portion = lambda: setattr(socket.incoming if name == "is_paused" else socket, name, True)
    socket.incoming.handle(b"abcdef", 0)
    assert (len(socket.handled), socket.waits) == (1, (0, 0))


def test_read_stops_when_the_allowance_is_used_up(socket: Socket) -> None:
    socket.portion, socket.cost, socket.turns.time_for = 2, BURST // 2, 9
    socket.incoming.handle(b"abcdef", 0)
    assert (len(socket.handled), socket.incoming.is_held, socket.waits) == (2, True, (0, 1))


@pytest.mark.parametrize("allowance", [0, -5])
def test_used_up_allowance_slows_socket(socket: Socket, allowance: int) -> None:
    socket.incoming.allowance = allowance
    socket.incoming.hold_rest(b"abcd", 4)
    assert (socket.incoming.is_held, socket.is_read, socket.waits) == (True, False, (0, 1))
    assert socket.counts["slowed"] == 1
    socket.refill()
    assert socket.incoming.allowance == pytest.approx(allowance + PER_SECOND * SLOW_S)
    assert (socket.is_read, socket.waits) == (False, (1, 0))
    socket.incoming.proceed()
    assert (socket.handled, socket.is_read, socket.waits) == ([], True, (0, 0))


def test_refill_too_small_slows_again(socket: Socket) -> None:
    socket.incoming.allowance = -2.5 * PER_SECOND * SLOW_S
    socket.incoming.hold_rest(b"abcd", 0)
    socket.refill()
    assert (socket.incoming.is_held, socket.waits) == (True, (0, 1))
    socket.refill()
    assert socket.waits == (0, 1)
    socket.refill()
    assert (socket.waits, socket.counts["slowed"]) == ((1, 0), 1)


@pytest.mark.parametrize("name", ["disconnected", "closing"])
def test_ended_socket_holds_nothing(socket: Socket, name: str) -> None:
    setattr(socket, name, True)
    socket.incoming.allowance = 0
    socket.incoming.hold_rest(b"abcd", 2)
    assert (socket.incoming.is_held, socket.is_read, socket.waits) == (False, True, (0, 0))


def test_time_since_last_grant_counts_at_once(socket: Socket) -> None:
    socket.incoming.allowance = -1
    socket.now += 2 * SLOW_S
    socket.incoming.hold_rest(b"abcd", 4)
    granted = PER_SECOND * 2 * SLOW_S - 1
    assert (socket.incoming.is_held, socket.is_read, socket.waits) == (False, True, (0, 0))
    assert socket.incoming.allowance == pytest.approx(granted)
    socket.now += 2 * SLOW_S
    socket.incoming.hold_rest(b"abcd", 3)
    assert (socket.incoming.is_held, socket.waits) == (True, (1, 0))
    assert socket.incoming.allowance == pytest.approx(granted), "only a used-up allowance is renewed early"


def test_grant_with_rest_left_holds_it_for_turn(socket: Socket) -> None:
    socket.incoming.allowance = 0
    socket.now += 2 * SLOW_S
    socket.incoming.hold_rest(b"abcd", 3)
    assert (socket.incoming.is_held, socket.waits, socket.counts["slowed"]) == (True, (1, 0), 0)


def test_grant_too_small_slows_socket(socket: Socket) -> None:
    socket.incoming.allowance = -1000
    socket.now += 2 * SLOW_S
    socket.incoming.hold_rest(b"abcd", 4)
    assert (socket.incoming.is_held, socket.waits, socket.counts["slowed"]) == (True, (0, 1), 1)


def test_grant_is_due_after_exactly_its_time(socket: Socket) -> None:
    socket.incoming.allowance, socket.incoming._refilled_at, socket.now = 0, 0.0, SLOW_S
    socket.incoming.hold_rest(b"abcd", 4)
    assert (socket.incoming.is_held, socket.incoming.allowance) == (False, PER_SECOND * SLOW_S)


def test_grant_soon_after_last_is_not_made(socket: Socket) -> None:
    socket.incoming.allowance = 0
    socket.now += SLOW_S / 2
    socket.incoming.hold_rest(b"abcd", 4)
    assert (socket.incoming.allowance, socket.waits) == (0, (0, 1))


def test_input_while_held_is_appended(socket: Socket) -> None:
    socket.incoming.hold_rest(b"ab", 1)
    socket.resume_reading()
    socket.incoming.hold(b"cd")
    assert not socket.is_read
    socket.incoming.hold(b"ef")
    socket.incoming.proceed()
    assert socket.handled == [(b"abcdef", 1)]


def test_drop_unread_leaves_both_queues(socket: Socket) -> None:
    socket.incoming.hold_rest(b"ab", 1)
    socket.incoming.drop_unread()
    assert (socket.incoming.is_held, socket.waits) == (False, (0, 0))
    socket.incoming.allowance = 0
    socket.incoming.hold_rest(b"ab", 1)
    socket.incoming.drop_unread()
    assert (socket.incoming.is_held, socket.waits) == (False, (0, 0))
    socket.incoming.proceed()
    assert socket.handled == []


def test_end_pauses_reads_again(socket: Socket) -> None:
    socket.incoming.hold_rest(b"ab", 1)
    socket.incoming.pause()
    socket.read_paused = True
    assert (socket.incoming.is_paused, socket.is_read) == (True, False)
    socket.incoming.end_pauses()
    assert (socket.incoming.is_paused, socket.read_paused, socket.incoming.is_held) == (False, False, False)
    assert (socket.is_read, socket.waits) == (True, (0, 0))


def test_pause_stops_reading(socket: Socket) -> None:
    socket.incoming.pause()
    assert (socket.incoming.is_paused, socket.is_read) == (True, False)


def test_queued_message_taken_resumes_reading(socket: Socket) -> None:
    socket.read_paused = True
    socket.is_read = False
    socket.incoming.resume_after_queueing()
    assert (socket.read_paused, socket.is_read, socket.counts["resumed"]) == (False, True, 1)
    socket.incoming.resume_after_queueing()
    assert socket.counts["resumed"] == 1


@pytest.mark.parametrize("name", ["is_paused", "read_paused", "closing"])
def test_resume_with_another_reason_reads_nothing(socket: Socket, name: str) -> None:
    socket.incoming.resume_if_free()
    assert socket.counts["resumed"] == 1
    setattr(socket.incoming if name == "is_paused" else socket, name, True)
    socket.incoming.resume_if_free()
    assert socket.counts["resumed"] == 1


@pytest.mark.parametrize("name", ["is_paused", "read_paused"])
def test_held_and_paused_socket_has_no_turn(socket: Socket, name: str) -> None:
    flags = socket.incoming if name == "is_paused" else socket
    setattr(flags, name, True)
    socket.incoming.hold_rest(b"ab", 1)
    assert socket.waits == (0, 0)
    socket.incoming.proceed()
    assert (socket.handled, socket.incoming.is_held, socket.is_read) == ([], True, False)
    setattr(flags, name, False)
    socket.incoming.resume_if_free()
    assert (socket.waits, socket.is_read) == ((1, 0), False)


def test_keep_held_undoes_foreign_resume(socket: Socket) -> None:
    socket.incoming.keep_held()
    assert (socket.is_read, socket.waits) == (True, (0, 0))
    socket.read_paused = True
    socket.incoming.hold_rest(b"ab", 1)
    socket.read_paused = False
    socket.resume_reading()
    socket.incoming.keep_held()
    assert (socket.is_read, socket.waits) == (False, (1, 0))


def test_keep_held_without_allowance_gives_no_turn(socket: Socket) -> None:
    socket.incoming.allowance = 0
    socket.incoming.hold_rest(b"ab", 1)
    socket.incoming.keep_held()
    assert socket.waits == (0, 1)


@pytest.mark.parametrize("name", ["disconnected", "closing"])
def test_turn_of_ended_socket_drops_input(socket: Socket, name: str) -> None:
    socket.incoming.hold_rest(b"ab", 1)
    setattr(socket, name, True)
    socket.incoming.proceed()
    assert (socket.handled, socket.incoming.is_held, socket.waits) == ([], False, (0, 0))
    assert socket.counts["resumed"] == 0


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood is closed after three rounds."""
    monkeypatch.setattr(incoming, "FLOOD_ROUNDS", 3)


@pytest.mark.usefixtures("few_rounds")
def test_flood_of_three_rounds_is_closed(socket: Socket) -> None:
    for closed in (0, 0, 1):
        socket.incoming.drop_unread()
        socket.incoming.allowance = 0
        socket.incoming.hold_rest(b"abcd", 1)
        socket.refill()
        assert (socket.counts["flood"], socket.counts["closed"]) == (closed, closed)
    assert (socket.incoming.is_held, socket.waits) == (False, (0, 0))


@pytest.mark.usefixtures("few_rounds")
def test_flood_after_close_is_not_closed_again(socket: Socket) -> None:
    socket.close_sent = True
    for _ in range(4):
        socket.incoming.allowance = 0
        socket.incoming.hold_rest(b"abcd", 1)
        socket.refill()
        assert (socket.counts["flood"], socket.counts["closed"], socket.waits) == (0, 0, (1, 0))
        socket.turns.discard(socket.incoming)


@pytest.mark.usefixtures("few_rounds")
def test_rounds_without_rest_are_no_flood(socket: Socket) -> None:
    for _ in range(5):
        socket.incoming.allowance = 0
        socket.incoming.hold_rest(b"abcd", 4)
        socket.refill()
        socket.incoming.proceed()
    assert socket.counts["flood"] == 0


@pytest.mark.usefixtures("few_rounds")
def test_full_burst_ends_count_of_rounds(socket: Socket) -> None:
    for pause_s in (SLOW_S, SLOW_S, 2 * BURST / PER_SECOND, SLOW_S):
        socket.incoming.allowance = 0
        socket.incoming.hold_rest(b"abcd", 1)
        socket.now += pause_s - SLOW_S
        socket.refill()
        socket.turns.discard(socket.incoming)
        assert socket.incoming.allowance == pytest.approx(min(BURST, PER_SECOND * pause_s))
    assert socket.counts["flood"] == 0


def test_allowance_of_long_pause_is_one_burst(socket: Socket) -> None:
    socket.incoming.allowance = 0
    socket.incoming.hold_rest(b"abcd", 4)
    socket.refill(60)
    assert socket.incoming.allowance == BURST
