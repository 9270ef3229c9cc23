"""Runs one target for some time. Case number `n` of a seed is the same in every run."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.case import Case, Failure, Target
from tests.fuzz.minimiser import minimised

HANG_S: Final = 10.0
"""The most that one check may wait for something."""
MINIMISING_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a campaign did."""

    target: str
    cases: int
    seconds: float
    failure: Failure | None

    def __str__(self) -> str:
        rate = self.cases / self.seconds if self.seconds else 0
        outcome = "no failure" if self.failure is None else f"failed: {self.failure.reason}"
        return f"{self.target}: {self.cases} cases in {self.seconds:.0f} s ({rate:.0f} a second), {outcome}"


async def run(target: Target, seed: int, seconds: float, minimising_s: float = MINIMISING_S) -> Report:
    """Check generated cases until the time is over or one fails."""
    started = time.monotonic()
    with _logged_errors() as errors:
        number = 0
        while time.monotonic() - started < seconds:
            case = target.case(Random(f"{seed}:{target.name}:{number}"))
            number += 1
            reason = await _reason(target, case, errors)
            if reason:
                elapsed = time.monotonic() - started

                async def fails(smaller: Case) -> bool:
                    return bool(await _reason(target, smaller, errors))

                case = await minimised(case, fails, minimising_s)
                reason = await _reason(target, case, errors) or reason
                return Report(target.name, number, elapsed, Failure(target.name, case, reason))
    return Report(target.name, number, time.monotonic() - started, None)


async def reason_of(target: Target, case: Case) -> str:
    """Why this case fails; empty if it does not."""
    with _logged_errors() as errors:
        return await _reason(target, case, errors)


async def _reason(target: Target, case: Case, errors: list[str]) -> str:
    errors.clear()
    unhandled: list[str] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: unhandled.append(repr(context.get("exception") or context)))
    try:
        cpu_s = await _cpu_s(target, case)
        if cpu_s > target.cpu_s:  # a slow check is one that is slow three times
            cpu_s = min(cpu_s, await _cpu_s(target, case), await _cpu_s(target, case))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:2000]
    finally:
        loop.set_exception_handler(before)
    if unhandled or errors:
        return f"reported: {(unhandled + errors)[0]}"[:2000]
    return f"took {cpu_s:.2f} s of CPU" if cpu_s > target.cpu_s else ""


async def _cpu_s(target: Target, case: Case) -> float:
    started = time.thread_time()
    async with asyncio.timeout(HANG_S):
        await target.check(case)
    return time.thread_time() - started


class _Errors(logging.Handler):
    """Keeps what is logged as an error: no input may cause one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line, and what was raised."""
        raised = record.exc_info[1] if record.exc_info else ""
        self.seen.append(f"{record.getMessage()} {raised!r}")


@contextmanager
def _logged_errors() -> Iterator[list[str]]:
    handler = _Errors()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.seen
    finally:
        logging.getLogger().removeHandler(handler)


def save(failure: Failure, folder: Path) -> Path:
    """Write the case, from which `load` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(repr(failure.case).encode()).hexdigest()[:8]
    path = folder / f"{failure.target}-{digest}.json"
    pieces = [piece.decode("latin-1") for piece in failure.case]
    path.write_text(json.dumps({"target": failure.target, "reason": failure.reason, "case": pieces}, indent=1))
    return path


def load(path: Path) -> tuple[str, Case]:
    """The target's name and the case in a file of `save`."""
    saved = json.loads(path.read_text())
    return saved["target"], tuple(piece.encode("latin-1") for piece in saved["case"])
