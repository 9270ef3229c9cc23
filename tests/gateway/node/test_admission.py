"""The admission of events: a decision always follows, whatever fails."""

import asyncio
from inspect import signature
from typing import Any

import pytest

from gateway.interfaces.rate_limits import RateLimited
from gateway.node.node import Node
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import EventKind, NewEvent, Person, Refusal

EVENT = NewEvent(1, Person(1, "ann"), "c-1", EventKind.MESSAGE, "Hi")
LIMITED = RateLimited(5)


class Full:
    """Limits that are reached."""

    def decide(self, user_id: int, entry: str, on_admission: Any) -> None:
        asyncio.get_running_loop().call_soon(on_admission, LIMITED)


class Log:
    """A log whose reads end with `outcome`."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    async def find(self, *_: object) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "decision"),
    [
        (None, LIMITED),
        (StorageUnavailable("down"), Refusal.UNAVAILABLE),
        (RuntimeError("a defect"), Refusal.UNAVAILABLE),
    ],
    ids=["new", "outage", "defect"],
)
async def test_limited_event_is_decided_by_the_log(outcome: object, decision: object) -> None:
    failures: list[str] = []
    tasks = Tasks(lambda name, _: failures.append(name))
    parts: dict[str, Any] = dict.fromkeys(signature(Node).parameters)
    node = Node(**{**parts, "limits": Full(), "log": Log(outcome), "tasks": tasks})
    assert await node.post(EVENT) == decision
    await asyncio.sleep(0)
    assert failures == (["admission"] if isinstance(outcome, RuntimeError) else [])
    await tasks.close()
