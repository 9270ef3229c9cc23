import asyncio
from itertools import pairwise
from typing import Any

import pytest

from gateway import rota
from gateway.rota import STEPS, Rota


async def test_each_is_called_once_in_order_and_not_before_its_time() -> None:
    loop = asyncio.get_running_loop()
    called: list[tuple[str, float]] = []
    waiting: Rota[str] = Rota(0.05, lambda one: called.append((one, loop.time())))
    added = {}
    for name in ("a", "b", "c"):
        added[name] = loop.time()
        waiting.add(name)
        await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        while len(waiting):
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.06)
    assert [name for name, _ in called] == ["a", "b", "c"]
    assert all(at - added[name] >= 0.05 for name, at in called)


async def test_who_is_added_again_waits_anew_and_who_is_taken_out_is_not_called() -> None:
    called: list[str] = []
    waiting: Rota[str] = Rota(0.05, called.append)
    for name in ("again", "out", "in"):
        waiting.add(name)
    await asyncio.sleep(0.03)
    waiting.add("again")
    waiting.discard("out")
    waiting.discard("never in")
    async with asyncio.timeout(2):
        while len(waiting):
            await asyncio.sleep(0.005)
    assert called == ["in", "again"]


async def test_a_crowd_does_not_hold_the_loop_and_has_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rota, "AT_ONCE", 10)
    called: list[int] = []
    waiting: Rota[int] = Rota(0.02, called.append)
    loop = asyncio.get_running_loop()
    timers = 0
    call_later = loop.call_later

    def counted(*args: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_later(*args)

    monkeypatch.setattr(loop, "call_later", counted)
    for number in range(35):
        waiting.add(number)
    assert timers == 1
    steps = [0]
    async with asyncio.timeout(2):
        while len(waiting):
            await asyncio.sleep(0)
            steps.append(len(called))
    assert max(after - before for before, after in pairwise(steps)) == 10
    assert called == list(range(35))
    assert timers < 8


async def test_those_that_come_due_one_by_one_are_called_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    called: list[int] = []
    waiting: Rota[int] = Rota(STEPS * 0.02, called.append)
    run = Rota._run
    monkeypatch.setattr(Rota, "_run", lambda self: (runs.append(len(called)), run(self)))
    for number in range(20):
        waiting.add(number)
        await asyncio.sleep(0.002)
    async with asyncio.timeout(3):
        while len(waiting):
            await asyncio.sleep(0.01)
    assert called == list(range(20))
    assert len(runs) < 8, "one timer's turn for all that is due by then, not one each"


async def test_a_call_that_fails_costs_the_others_nothing() -> None:
    called: list[str] = []
    told: list[dict[str, Any]] = []

    def call(one: str) -> None:
        if one == "bad":
            raise RuntimeError(one)
        called.append(one)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    waiting: Rota[str] = Rota(0.01, call)
    for name in ("bad", "good"):
        waiting.add(name)
    async with asyncio.timeout(2):
        while not called:
            await asyncio.sleep(0.005)
    assert [str(context["exception"]) for context in told] == ["bad"]
