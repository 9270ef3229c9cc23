"""Combined queries, over a reader that responds under control of the test."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest

from storage.database.coalescer import ANSWERS_A_TURN, LIMIT, Coalescer
from storage.errors import StorageUnavailable


class Reader:
    """Knows the squares of even numbers; answers when it may."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: BaseException | None = None

    async def read(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(list(keys))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {key: key * key for key in keys if key % 2 == 0}


async def test_single_query_runs_at_once_and_missing_result_is_none() -> None:
    reader = Reader()
    together = Coalescer(reader.read)
    assert (await together.ask(4), await together.ask(3)) == (16, None)
    assert reader.asked == [[4], [3]]


async def test_queries_of_one_loop_turn_share_a_statement() -> None:
    reader = Reader()
    together = Coalescer(reader.read)
    assert await asyncio.gather(*map(together.ask, (2, 4, 2, 6))) == [4, 16, 4, 36]
    assert reader.asked == [[2, 4, 6]]


async def test_query_of_next_loop_turn_shares_the_statement() -> None:
    reader = Reader()
    together = Coalescer(reader.read)
    first = asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(together.ask(4))
    assert [await first, await second] == [4, 16]
    assert reader.asked == [[2, 4]]


async def test_queries_during_a_read_form_the_next_statement() -> None:
    reader = Reader()
    reader.may_answer.clear()
    together = Coalescer(reader.read)
    first = asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0.01)
    later = [asyncio.ensure_future(together.ask(key)) for key in (2, 4)]
    await asyncio.sleep(0.01)
    assert reader.asked == [[2]]
    reader.may_answer.set()
    assert await asyncio.gather(first, *later) == [4, 4, 16]
    assert reader.asked == [[2], [2, 4]]


async def test_statement_has_a_key_limit() -> None:
    reader = Reader()
    together = Coalescer(reader.read)
    await asyncio.gather(*(together.ask(key) for key in range(LIMIT + 1)))
    assert [len(keys) for keys in reader.asked] == [LIMIT, 1]


@pytest.mark.parametrize("error", [None, StorageUnavailable("away")])
async def test_one_statement_wakes_its_callers_over_several_turns(
    error: Exception | None,
) -> None:
    reader = Reader()
    reader.error = error
    reader.may_answer.clear()
    together = Coalescer(reader.read)
    woken: list[int] = []

    async def ask(key: int) -> None:
        with suppress(StorageUnavailable):
            await together.ask(key)
        woken.append(key)

    many = range(10 * ANSWERS_A_TURN)
    asking = [asyncio.ensure_future(ask(key)) for key in many]
    await asyncio.sleep(0.01)
    reader.may_answer.set()
    turns = []
    while len(woken) < len(many):
        if woken and len(asking) == len(many):
            reader.error = None
            asking.append(asyncio.ensure_future(together.ask(-2)))
        turns.append(len(woken))
        await asyncio.sleep(0)
    assert max(after - before for before, after in pairwise([*turns, len(woken)])) == ANSWERS_A_TURN
    assert woken == list(many)
    assert reader.asked == [list(many), [-2]]
    assert await asking[-1] == 4


async def test_error_reaches_its_callers_and_next_query_runs() -> None:
    reader = Reader()
    reader.error = OSError("away")
    together = Coalescer(reader.read)
    answers = await asyncio.gather(*map(together.ask, (2, 4)), return_exceptions=True)
    assert answers == [reader.error, reader.error]
    reader.error = None
    assert await together.ask(2) == 4


async def test_outage_fails_waiting_callers_at_once() -> None:
    reader = Reader()
    reader.error = StorageUnavailable("away")
    reader.may_answer.clear()
    together = Coalescer(reader.read)
    asking = [asyncio.ensure_future(together.ask(2))]
    await asyncio.sleep(0.01)
    asking.append(asyncio.ensure_future(together.ask(4)))
    await asyncio.sleep(0.01)
    reader.may_answer.set()
    assert await asyncio.gather(*asking, return_exceptions=True) == [reader.error, reader.error]
    assert reader.asked == [[2]]
    reader.error = None
    assert await together.ask(4) == 16


async def test_cancelled_statement_cancels_its_callers() -> None:
    reader = Reader()
    reader.error = asyncio.CancelledError()
    together = Coalescer(reader.read)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(together.ask(2), together.ask(4), return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2


async def test_cancelled_caller_does_not_affect_others() -> None:
    reader = Reader()
    reader.may_answer.clear()
    together = Coalescer(reader.read)
    leaving, staying = asyncio.ensure_future(together.ask(2)), asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    reader.may_answer.set()
    assert await staying == 4
