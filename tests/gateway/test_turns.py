"""The queue of sockets with unhandled input: order, slices, failures. The clock is the test's."""

import asyncio
from typing import Any

import pytest

from gateway import turns
from gateway.turns import SLICE_S, Turns


async def test_turns_each_item_called_once_in_order() -> None:
    called: list[str] = []
    waiting: Turns[str] = Turns(called.append)
    for name in ("a", "b", "a", "c"):
        waiting.add(name)
    waiting.discard("b")
    waiting.discard("never in")
    assert (called, len(waiting)) == ([], 2)
    await asyncio.sleep(0)
    assert (called, len(waiting)) == (["a", "c"], 0)
    await asyncio.sleep(0)
    waiting.add("d")
    await asyncio.sleep(0)
    assert called == ["a", "c", "d"]


async def test_turns_slice_used_up_continues_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(turns, "perf_counter", lambda: now)
    called: list[int] = []

    def call(number: int) -> None:
        nonlocal now
        now += SLICE_S / 2
        called.append(number)

    waiting: Turns[int] = Turns(call)
    for number in range(5):
        waiting.add(number)
    for count in (2, 4, 5, 5):
        await asyncio.sleep(0)
        assert called == list(range(count))


async def test_turns_most_of_one_turn_continue_in_next() -> None:
    called: list[int] = []
    waiting: Turns[int] = Turns(called.append, most=2)
    assert waiting.has_time()
    for number in range(4):
        waiting.add(number)
    for count in (2, 4):
        await asyncio.sleep(0)
        assert called == list(range(count))
    assert not waiting.has_time()
    await asyncio.sleep(0)
    assert [waiting.has_time() for _ in range(3)] == [True, True, False]


async def test_turns_fewer_begin_while_turns_of_loop_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now, called = 0.0, list[int]()
    monkeypatch.setattr(turns, "thread_time", lambda: now)
    waiting: Turns[int] = Turns(called.append, most=3, turn_s=0.003)
    for number in range(40):
        waiting.add(number)

    async def begun(turn_s: float) -> int:
        nonlocal now
        before = len(called)
        await asyncio.sleep(0)
        now += turn_s
        return len(called) - before

    assert [await begun(0.004) for _ in range(4)] == [3, 2, 1, 1]
    assert [await begun(0.002) for _ in range(4)] == [1, 2, 3, 3]
    while waiting:
        await begun(0)
    now += 1  # in which nothing waited
    for number in range(4):
        waiting.add(number)
    assert await begun(0) == 3


async def test_turns_has_time_until_slice_ends_and_in_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr(turns, "perf_counter", lambda: now)
    waiting: Turns[str] = Turns(lambda _: None)
    assert waiting.has_time()
    now += SLICE_S / 2
    assert waiting.has_time()
    now += SLICE_S / 2
    assert not waiting.has_time()
    await asyncio.sleep(0)
    assert waiting.has_time()
    waiting.add("one")
    assert not waiting.has_time()


async def test_turns_items_and_callers_share_one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr(turns, "perf_counter", lambda: now)
    had_time: list[bool] = []

    def call(_: str) -> None:
        nonlocal now
        now += SLICE_S
        had_time.append(waiting.has_time())

    waiting: Turns[str] = Turns(call)
    waiting.add("one")
    await asyncio.sleep(0)
    assert had_time == [False]


async def test_turns_item_added_by_its_own_call_waits() -> None:
    called: list[str] = []
    waiting: Turns[str] = Turns(lambda name: (called.append(name), len(called) < 3 and waiting.add("again"))[0])
    waiting.add("again")
    waiting.add("other")
    await asyncio.sleep(0)
    assert called == ["again", "other", "again"]


async def test_turns_failing_call_is_reported_and_skipped() -> None:
    called: list[str] = []
    reported: list[dict[str, Any]] = []

    def call(name: str) -> None:
        if name == "bad":
            raise RuntimeError(name)
        called.append(name)

    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    waiting: Turns[str] = Turns(call)
    for name in ("bad", "good"):
        waiting.add(name)
    await asyncio.sleep(0)
    assert called == ["good"]
    ((message, error),) = (context.values() for context in reported)
    assert (message, str(error)) == ("continuing long work failed", "bad")
    assert list(reported[0]) == ["message", "exception"]


async def test_turns_pause_leaves_turns_to_others() -> None:
    called: list[int] = []
    waiting: Turns[int] = Turns(called.append, most=1, pause=2)
    waiting.add(1)
    waiting.add(2)
    counts = []
    for _ in range(5):
        await asyncio.sleep(0)
        counts.append(len(called))
    assert counts == [1, 1, 1, 2, 2]


async def test_portions_leave_turns_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PORTION", 2)
    seen: list[object] = []
    items = [1, 2, 3, 4, 5]
    asyncio.get_running_loop().call_soon(seen.append, "other")
    async for some in turns.portions(items):
        seen.append(some)
        items.append(6)  # is not one of those that there were
    assert seen == [[1, 2], "other", [3, 4], [5]]
    assert [some async for some in turns.portions(())] == []
