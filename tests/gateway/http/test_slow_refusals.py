"""Responses to callers that are refused and do not wait."""

import asyncio

import pytest

from gateway.http import slow_refusals
from gateway.http.slow_refusals import SlowRefusals
from tests.auth.fakes import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def held(refusals: SlowRefusals, caller: str, count: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(refusals.before(caller, 5)) for _ in range(count)]


async def test_only_callers_that_do_not_wait_are_slowed(clock: Clock) -> None:
    slowed: list[None] = []
    refusals = SlowRefusals(lambda: slowed.append(None), clock.unix)
    await refusals.before("user:1", 5)
    clock.advance(5)
    await refusals.before("user:1", 5)
    await refusals.before("user:2", 5)
    assert not slowed
    clock.advance(4.9)
    (again,) = held(refusals, "user:1", 1)
    await asyncio.sleep(0)
    assert (again.done(), len(slowed)) == (False, 1)
    await again


async def test_responses_that_wait_are_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_refusals, "MOST", 3)
    monkeypatch.setattr(slow_refusals, "EACH", 2)
    slowed: list[None] = []
    refusals = SlowRefusals(lambda: slowed.append(None), clock.unix)
    for caller in ("user:1", "user:2"):
        await refusals.before(caller, 5)
    waiting = held(refusals, "user:1", 2)
    await asyncio.sleep(0)
    await refusals.before("user:1", 5)
    assert len(slowed) == 2
    waiting += held(refusals, "user:2", 1)
    await asyncio.sleep(0)
    await refusals.before("user:2", 5)
    assert len(slowed) == 3
    assert not any(task.done() for task in waiting)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    (now_it_waits,) = held(refusals, "user:2", 1)
    await asyncio.sleep(0)
    assert (now_it_waits.done(), len(slowed)) == (False, 4)
    await asyncio.gather(*waiting, now_it_waits)


async def test_callers_that_are_remembered_are_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_refusals, "MAX_CALLERS", 2)
    slowed: list[None] = []
    refusals = SlowRefusals(lambda: slowed.append(None), clock.unix)
    for number in range(3):
        await refusals.before(f"user:{number}", 5)
    await refusals.before("user:0", 5)
    assert not slowed
