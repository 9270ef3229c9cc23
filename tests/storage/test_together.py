"""Questions that are asked together, over a reader that says when it answers."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from storage.errors import StorageUnavailable
from storage.together import LIMIT, Together


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


async def test_a_lone_question_is_asked_at_once_and_what_has_no_answer_has_none() -> None:
    reader = Reader()
    together = Together(reader.read)
    assert (await together.ask(4), await together.ask(3)) == (16, None)
    assert reader.asked == [[4], [3]]


async def test_what_is_asked_in_one_turn_is_one_statement_and_the_same_twice_is_one_question() -> None:
    reader = Reader()
    together = Together(reader.read)
    assert await asyncio.gather(*map(together.ask, (2, 4, 2, 6))) == [4, 16, 4, 36]
    assert reader.asked == [[2, 4, 6]]


async def test_who_comes_a_turn_later_asks_along() -> None:
    reader = Reader()
    together = Together(reader.read)
    first = asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(together.ask(4))
    assert [await first, await second] == [4, 16]
    assert reader.asked == [[2, 4]]


async def test_what_is_asked_while_an_answer_is_under_way_is_the_next_statement_with_a_younger_answer() -> None:
    reader = Reader()
    reader.may_answer.clear()
    together = Together(reader.read)
    first = asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0.01)
    later = [asyncio.ensure_future(together.ask(key)) for key in (2, 4)]
    await asyncio.sleep(0.01)
    assert reader.asked == [[2]]
    reader.may_answer.set()
    assert await asyncio.gather(first, *later) == [4, 4, 16]
    assert reader.asked == [[2], [2, 4]]


async def test_a_statement_has_a_limit() -> None:
    reader = Reader()
    together = Together(reader.read)
    await asyncio.gather(*(together.ask(key) for key in range(LIMIT + 1)))
    assert [len(keys) for keys in reader.asked] == [LIMIT, 1]


async def test_an_error_is_told_to_those_who_asked_and_the_next_are_asked_anew() -> None:
    reader = Reader()
    reader.error = OSError("away")
    together = Together(reader.read)
    answers = await asyncio.gather(*map(together.ask, (2, 4)), return_exceptions=True)
    assert answers == [reader.error, reader.error]
    reader.error = None
    assert await together.ask(2) == 4


async def test_who_waits_for_a_database_that_is_away_is_told_so_at_once() -> None:
    reader = Reader()
    reader.error = StorageUnavailable("away")
    reader.may_answer.clear()
    together = Together(reader.read)
    asking = [asyncio.ensure_future(together.ask(2))]
    await asyncio.sleep(0.01)
    asking.append(asyncio.ensure_future(together.ask(4)))
    await asyncio.sleep(0.01)
    reader.may_answer.set()
    assert await asyncio.gather(*asking, return_exceptions=True) == [reader.error, reader.error]
    assert reader.asked == [[2]]
    reader.error = None
    assert await together.ask(4) == 16


async def test_a_statement_that_is_cancelled_leaves_nobody_waiting() -> None:
    reader = Reader()
    reader.error = asyncio.CancelledError()
    together = Together(reader.read)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(together.ask(2), together.ask(4), return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2


async def test_who_leaves_takes_nobodys_answer_along() -> None:
    reader = Reader()
    reader.may_answer.clear()
    together = Together(reader.read)
    leaving, staying = asyncio.ensure_future(together.ask(2)), asyncio.ensure_future(together.ask(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    reader.may_answer.set()
    assert await staying == 4
