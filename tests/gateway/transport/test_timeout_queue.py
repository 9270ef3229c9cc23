"""A queue of equal timeouts: the order and time of the calls, and one timer for all of them."""

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest

from gateway.transport import timeout_queue
from gateway.transport.timeout_queue import AT_ONCE, STEPS, TimeoutQueue


async def test_items_expire_once_in_order_and_not_early() -> None:
    loop = asyncio.get_running_loop()
    called: list[tuple[str, float]] = []
    waiting: TimeoutQueue[str] = TimeoutQueue(0.05, lambda one: called.append((one, loop.time())))
    added = {}
    for name in ("a", "b", "c"):
        added[name] = loop.time()
        waiting.add(name)
        await asyncio.sleep(0.02)
    async with asyncio.timeout(6):
        while len(waiting):
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.06)
    assert [name for name, _ in called] == ["a", "b", "c"]
    assert all(at >= added[name] + 0.05 for name, at in called)


async def test_readded_item_restarts_and_discarded_item_is_not_called() -> None:
    called: list[str] = []
    waiting: TimeoutQueue[str] = TimeoutQueue(0.4, called.append)
    for name in ("again", "out", "in"):
        waiting.add(name)
    await asyncio.sleep(0.05)
    waiting.add("again")
    waiting.discard("out")
    waiting.discard("never in")
    async with asyncio.timeout(6):
        while len(waiting):
            await asyncio.sleep(0.005)
    assert called == ["in", "again"]


async def test_many_items_expire_in_steps_with_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeout_queue, "AT_ONCE", 10)
    called: list[int] = []
    waiting: TimeoutQueue[int] = TimeoutQueue(0.02, called.append)
    loop = asyncio.get_running_loop()
    timers = 0
    call_later = loop.call_later

    def counted(*args: Any, **context: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_later(*args, **context)

    monkeypatch.setattr(loop, "call_later", counted)
    for number in range(35):
        waiting.add(number)
    assert timers == 1
    steps = [0]
    async with asyncio.timeout(6):
        while len(waiting):
            await asyncio.sleep(0)
            steps.append(len(called))
    assert max(after - before for before, after in pairwise(steps)) == 10
    assert called == list(range(35))
    assert timers < 8


async def test_items_due_one_by_one_expire_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    called: list[int] = []
    step_s = 0.02
    waiting: TimeoutQueue[int] = TimeoutQueue(STEPS * step_s, called.append)
    run = TimeoutQueue._run
    monkeypatch.setattr(TimeoutQueue, "_run", lambda self: (runs.append(len(called)), run(self)))
    begin = time.monotonic()
    for number in range(20):
        waiting.add(number)
        await asyncio.sleep(0.002)
    took_s = time.monotonic() - begin  # 0.05 s, and more on a slow machine
    async with asyncio.timeout(9):
        while len(waiting):
            await asyncio.sleep(0.01)
    assert called == list(range(20))
    assert len(runs) < 6 + took_s / step_s, "one timer's turn for all that is due by then, not one each"


async def test_failing_callback_does_not_affect_others() -> None:
    called: list[str] = []
    told: list[dict[str, Any]] = []

    def call(one: str) -> None:
        if one == "bad":
            raise RuntimeError(one)
        called.append(one)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    waiting: TimeoutQueue[str] = TimeoutQueue(0.01, call)
    for name in ("bad", "good"):
        waiting.add(name)
    async with asyncio.timeout(6):
        while not called:
            await asyncio.sleep(0.005)
    ((message, error),) = (context.values() for context in told)
    assert (message, str(error)) == ("a deadline's call failed", "bad")
    assert list(told[0]) == ["message", "exception"]


class Clock:
    """An event loop of one timer, whose time the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.timers: list[float] = []
        self._call: Any = None
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, call: Any) -> object:
        assert self._call is None, "one timer at a time"
        self.timers.append(delay_s)
        self._call = call
        return self

    def run(self, now: float) -> None:
        """Let the timer run at this time."""
        self.now, call, self._call = now, self._call, None
        call()


def test_timer_is_set_for_next_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, called = Clock(monkeypatch), list[str]()
    waiting: TimeoutQueue[str] = TimeoutQueue(8, called.append)
    waiting.add("a")
    clock.now = 104
    waiting.add("b")
    clock.now = 104.1
    waiting.add("c")
    clock.run(108)
    assert (called, clock.timers) == (["a"], [8, 4])
    clock.run(112)
    assert (called, clock.timers) == (["a", "b"], [8, 4, 8 / STEPS]), "at least a step later"
    clock.run(112.25)
    assert (called, clock.timers, len(waiting)) == (["a", "b", "c"], [8, 4, 8 / STEPS], 0)
    waiting.add("d")
    assert clock.timers[3:] == [8]


def test_many_due_at_once_continue_in_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, called = Clock(monkeypatch), list[int]()
    waiting: TimeoutQueue[int] = TimeoutQueue(8, called.append)
    for number in range(2 * AT_ONCE + 1):
        waiting.add(number)
    for count, timers in ((AT_ONCE, [8, 0]), (2 * AT_ONCE, [8, 0, 0]), (2 * AT_ONCE + 1, [8, 0, 0])):
        clock.run(110)
        assert (called, clock.timers) == (list(range(count)), timers)


def test_run_without_due_items_calls_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, called = Clock(monkeypatch), list[str]()
    waiting: TimeoutQueue[str] = TimeoutQueue(8, called.append)
    waiting.add("a")
    waiting.discard("a")
    clock.now = 102
    waiting.add("a")
    clock.run(108)
    assert (called, clock.timers) == ([], [8, 2])
    waiting.discard("a")
    clock.run(110)
    assert (called, clock.timers) == ([], [8, 2])
