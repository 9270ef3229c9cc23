"""The fuzzer itself: cases are repeatable, failures are minimised, saved and read again."""

import asyncio
import logging
import time
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import campaign
from tests.fuzz.campaign import load, reason_of, run, save
from tests.fuzz.case import Case
from tests.fuzz.target_list import TARGETS


class Fragile:
    """Fails for any case with both of these bytes."""

    name = "fragile"
    cpu_s = 0.05

    def case(self, random: Random) -> Case:
        return tuple(random.randbytes(40) for _ in range(3))

    async def check(self, case: Case) -> None:
        data = b"".join(case)
        assert not (b"\x07" in data and b"\x08" in data), "both"


class Broken(Fragile):
    """Does what no check may do."""

    async def check(self, case: Case) -> None:
        match case[0]:
            case b"log":
                logging.getLogger("gateway").error("failed")
            case b"loop":
                asyncio.get_running_loop().call_exception_handler({"message": "failed", "exception": ValueError("x")})
            case b"slow":
                until = time.thread_time() + 2 * self.cpu_s
                while time.thread_time() < until:
                    pass
            case b"hang":
                await asyncio.Event().wait()


async def test_failure_is_minimised_and_can_be_run_again(tmp_path: Path) -> None:
    report = await run(Fragile(), 1, 30)
    assert report.failure is not None and report.cases > 0
    assert sorted(b"".join(report.failure.case)) == [7, 8]
    assert "both" in report.failure.reason and '"fragile"' in report.failure.test
    name, case = load(save(report.failure, tmp_path))
    assert (name, case) == ("fragile", report.failure.case)
    assert "both" in await reason_of(Fragile(), case)


@pytest.mark.parametrize(("what", "reason"), [("log", "failed"), ("loop", "x"), ("slow", "CPU"), ("hang", "Timeout")])
async def test_what_no_input_may_cause_is_a_failure(what: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "HANG_S", 0.2)
    assert reason in await reason_of(Broken(), (what.encode(),))
    assert await reason_of(Broken(), (b"",)) == ""


@pytest.mark.parametrize("name", TARGETS)
async def test_seed_and_number_give_one_case(name: str) -> None:
    async with TARGETS[name]() as target:
        cases = [[target.case(Random(f"{seed}:{number}")) for number in range(50)] for seed in (1, 1, 2)]
    assert cases[0] == cases[1] != cases[2]
    assert len(set(cases[0])) > 25
