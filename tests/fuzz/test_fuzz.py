"""A minute of all targets, and every case that failed once. scripts/fuzz runs longer, with other seeds."""

import pytest

from tests.fuzz.campaign import reason_of, run
from tests.fuzz.regressions import REGRESSIONS
from tests.fuzz.target_list import TARGETS

SEED = 1
SECONDS = 60.0 / len(TARGETS)
LEAST_CASES = 20
"""Fewer would mean that a target stopped working: the slowest manages some 60 a second, on an idle machine."""


@pytest.mark.parametrize("name", TARGETS)
async def test_generated_input_breaks_nothing(name: str) -> None:
    async with TARGETS[name]() as target:
        report = await run(target, SEED, SECONDS)
    assert report.failure is None, f"{report}\n{report.failure.test}"
    assert report.cases >= LEAST_CASES, report


@pytest.mark.parametrize("name", REGRESSIONS)
async def test_earlier_failure_does_not_return(name: str) -> None:
    target_name, *case = REGRESSIONS[name]
    async with TARGETS[target_name]() as target:
        assert await reason_of(target, tuple(case)) == ""
