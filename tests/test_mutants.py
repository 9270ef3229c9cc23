"""At least nine of ten mutants of the rooms that carry messages are noticed by their own unit tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.mutation.rooms import ROOMS

ROOT = Path(__file__).parents[1]


@pytest.mark.alone
@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("room", ROOMS)
def test_mutants_of_a_room_are_killed(room: str) -> None:
    """If this fails: add a focused test for a survivor that it prints, or remove dead code (CONTRIBUTING.md)."""
    command = [sys.executable, "-m", "scripts.mutation", room]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = ended.stdout.rpartition("mutations/second")[2]
    assert ended.returncode == 0, report or ended.stdout[-4000:] + ended.stderr[-4000:]
