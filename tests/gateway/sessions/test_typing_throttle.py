import asyncio

import pytest

from gateway.sessions import typing_throttle
from gateway.sessions.typing_throttle import TypingThrottle


class Typist:
    """A throttle with a short interval, and what it did."""

    def __init__(self) -> None:
        self.published: list[bool] = []
        self.idle = asyncio.Event()
        self.idles = 0
        self.throttle = TypingThrottle(self.published.append, self._on_idle)

    def _on_idle(self) -> None:
        self.idles += 1
        self.idle.set()


@pytest.fixture
async def typist(monkeypatch: pytest.MonkeyPatch) -> Typist:
    monkeypatch.setattr(typing_throttle, "TYPING_INTERVAL_S", 0.02)
    return Typist()


async def test_first_change_is_published_at_once(typist: Typist) -> None:
    typist.throttle.change(True)
    assert typist.published == [True]
    await asyncio.wait_for(typist.idle.wait(), 5)
    assert (typist.published, typist.idles) == ([True], 1)


async def test_last_state_is_published_after_the_interval(typist: Typist) -> None:
    for is_typing in (True, False, True, False):
        typist.throttle.change(is_typing)
    assert typist.published == [True]
    await asyncio.wait_for(typist.idle.wait(), 5)
    assert (typist.published, typist.idles) == ([True, False], 1)


async def test_state_that_came_back_is_not_published_again(typist: Typist) -> None:
    for is_typing in (True, False, True):
        typist.throttle.change(is_typing)
    await asyncio.wait_for(typist.idle.wait(), 5)
    assert typist.published == [True]


async def test_cancelled_throttle_publishes_nothing_more(typist: Typist) -> None:
    typist.throttle.cancel()
    typist.throttle.change(True)
    typist.throttle.change(False)
    typist.throttle.cancel()
    control = Typist()
    control.throttle.change(True)
    await asyncio.wait_for(control.idle.wait(), 5)
    assert (typist.published, typist.idles) == ([True], 0)
