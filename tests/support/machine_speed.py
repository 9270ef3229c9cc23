"""The present speed of this machine, for time bounds that assert a speed.

A bound that only ends a hang does not need it: it may be long at no cost.
"""

import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Final

REFERENCE_S: Final = 0.2
"""The duration of `_start_pythons` on the two idle cores for which the bounds were written."""
_PROGRAM: Final = "import asyncio, http.client, json, sqlite3, ssl; sum(n * n for n in range(3_000_000))"


def slowness() -> float:
    """The factor by which this machine is slower than that one, at least 1; takes REFERENCE_S if it is 1.

    Call it right after the measurement, so that both have the same load.
    """
    return max(1.0, _start_pythons(2) / REFERENCE_S)


def _start_pythons(count: int) -> float:
    """Start Python processes: tests mostly wait for the start, imports and CPU time of other processes."""
    started = time.perf_counter()
    with ExitStack() as stack:
        command = [sys.executable, "-S", "-c", _PROGRAM]
        pythons = [stack.enter_context(subprocess.Popen(command)) for _ in range(count)]
    assert [python.returncode for python in pythons] == [0] * count
    return time.perf_counter() - started
