"""Background tasks: their end with their owner, and the report of their failures."""

import asyncio

import pytest

from gateway import tasks as module
from gateway.tasks import Tasks


async def test_close_cancels_running_tasks_and_waits() -> None:
    tasks, ended = Tasks(), list[str]()

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    for name in ("a", "b"):
        tasks.spawn(work(name), name)
    await asyncio.sleep(0)
    await tasks.close()
    assert (sorted(ended), len(tasks)) == (["a", "b"], 0)
    await tasks.close()


async def test_task_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANCEL_AGAIN_S", 0.05)
    tasks, lost = Tasks(), 0

    async def reconnect() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    tasks.spawn(reconnect(), "link")
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await tasks.close()
    assert lost == 3


async def test_failure_is_reported_with_the_name_of_its_task() -> None:
    failures: list[tuple[str, str]] = []
    tasks = Tasks(lambda name, error: failures.append((name, str(error))))

    async def fail() -> None:
        raise ValueError("broken")

    tasks.spawn(fail(), "link")
    async with asyncio.timeout(5):
        while len(tasks):
            await asyncio.sleep(0)
    assert failures == [("link", "broken")]
