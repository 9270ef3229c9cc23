"""Makes a failing case smaller, as long as it fails."""

import time
from collections.abc import Awaitable, Callable, Iterator

from tests.fuzz.case import Case


async def minimised(case: Case, fails: Callable[[Case], Awaitable[bool]], seconds: float) -> Case:
    """The smallest case found within that time for which `fails` is true; it is true for `case`."""
    end = time.monotonic() + seconds
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(case):
            if time.monotonic() > end:
                return case
            if await fails(smaller):
                case, is_smaller = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with less in them, those that lack most first; then those that are simpler."""
    for begin, end in _ranges(len(case)):
        yield case[:begin] + case[end:]
    for at in range(len(case) - 1):
        yield (*case[:at], case[at] + case[at + 1], *case[at + 2 :])
    for at, piece in enumerate(case):
        for begin, end in _ranges(len(piece)):
            yield (*case[:at], piece[:begin] + piece[end:], *case[at + 1 :])
    for at, piece in enumerate(case):
        for index, byte in enumerate(piece[:200]):
            if byte not in b"0a":
                for simple in (b"0", b"a"):
                    yield (*case[:at], piece[:index] + simple + piece[index + 1 :], *case[at + 1 :])


def _ranges(size: int) -> Iterator[tuple[int, int]]:
    """Every part of a sequence whose length is a power of two, the longest first."""
    step = 1 << max(0, size - 1).bit_length()
    while size and step:
        for begin in range(0, size, step):
            if (begin, begin + step) != (0, 0):
                yield begin, min(size, begin + step)
        step //= 2
