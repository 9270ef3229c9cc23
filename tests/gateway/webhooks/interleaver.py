"""Runs tasks of one event loop in a random order that a seed decides: each waits for its turn before a statement.

The database is a real one, so a statement may wait for a lock that a paused task holds. Such a task counts as stuck,
and others go on.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

import pytest
from msgspec import Struct
from tortoise.backends.asyncpg.client import TransactionWrapper

from storage.database import database
from storage.database.database import Database

STUCK_S: Final = 0.005
"""A statement that takes longer waits for a lock."""
_actor: ContextVar[str] = ContextVar("actor")


class _Waiting(Struct, frozen=True):
    actor: str
    step: str
    may_go: "asyncio.Future[None]"


class Interleaver:
    """Tasks that call `act_as` take turns; `trace` has what they did, as (actor, step)."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.trace: list[tuple[str, str]] = []
        self._waiting: list[_Waiting] = []
        self._running = 0
        """Tasks that are in a statement."""
        self._stuck = 0
        self._order: list[str] = []
        """Actors, those first who are preferred now: so one rests for long while others go on."""

    def act_as(self, actor: str) -> None:
        """The current task, and those that it begins, take turns under this name."""
        _actor.set(actor)

    async def step(self, name: str) -> None:
        """Wait until it is this task's turn."""
        actor = _actor.get("")
        if actor:
            may_go = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting := _Waiting(actor, name, may_go))
            try:
                await may_go
            finally:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)

    @asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[None]:
        """Inside, the task is in a statement, after its turn has come."""
        await self.step(name)
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def paused(self, name: str) -> None:
        """A turn inside of `running`."""
        self._running -= 1
        try:
            await self.step(name)
        finally:
            self._running += 1

    async def let_on(self) -> None:
        """Give the next turn to a task, once the last one is at its next step, or stuck."""
        await self._settle()
        if self._waiting:
            self._order += sorted({one.actor for one in self._waiting} - set(self._order))
            if self.dice.random() < 0.15:
                self.dice.shuffle(self._order)
            possible = self._waiting
            if self.dice.random() < 0.8:
                first = min(self._order.index(one.actor) for one in self._waiting)
                possible = [one for one in self._waiting if one.actor == self._order[first]]
            chosen = self.dice.choice(possible)
            self._waiting.remove(chosen)
            self.trace.append((chosen.actor, chosen.step))
            if not chosen.may_go.done():
                chosen.may_go.set_result(None)

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + STUCK_S
        for _ in range(10):
            await asyncio.sleep(0)
        while self._running > self._stuck and loop.time() < until:
            await asyncio.sleep(0.0001)
            if self._running <= self._stuck:
                for _ in range(10):
                    await asyncio.sleep(0)
        self._stuck = self._running


@contextmanager
def interleaved(interleaver: Interleaver, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, every use of a database is a step, and on PostgreSQL some statements within a transaction are."""
    in_turn = Database._in_turn

    @asynccontextmanager
    async def stepping(self: Database, turns: asyncio.Semaphore) -> AsyncIterator[Any]:
        async with interleaver.running(_caller()), in_turn(self, turns) as client:
            yield client

    def within(execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def paused(self: Any, query: str, values: Any = None) -> Any:
            if _actor.get("") and interleaver.dice.random() < 0.3:
                await interleaver.paused(" ".join(query.split()[:3]))
            return await execute(self, query, values)

        return paused

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_in_turn", stepping)
        for name in ("execute_query", "execute_query_dict", "execute_many", "execute_insert"):
            patch.setattr(TransactionWrapper, name, within(getattr(TransactionWrapper, name)))
        yield


def _caller() -> str:
    """The function that uses the database."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename in (__file__, database.__file__, contextlib.__file__):
        frame = frame.f_back
    return frame.f_code.co_name
