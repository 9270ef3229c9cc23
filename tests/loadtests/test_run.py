"""The load test against the whole system: its output and exit code."""

import asyncio
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.system import System
from tests.loadtests.headless import BROKEN, Outcome, outcome, start_locust
from tests.loadtests.muffled import muffled

# The machine is shared: how fast it is, is not the question here.
PATIENT = ("--max-ack-p99-ms", "10000", "--max-delivery-p99-ms", "10000")


def _run(folder: Path, system: System, *options: str, users: int, seconds: int, shape: str = "") -> Outcome:
    process = start_locust(folder, system.url, *options, users=users, rate=20, seconds=seconds, shape=shape)
    return outcome(folder, process)


def test_fifty_users_lose_nothing(system: System, tmp_path: Path) -> None:
    run = _run(tmp_path, system, "--pace", "6", *PATIENT, users=50, seconds=20)
    assert run.exit_code == 0, run.output
    assert "All thresholds are met" in run.output
    assert run.line("WS", "delivery").requests > 200
    assert run.line("WS", "ack").requests > 40
    assert run.line("WS", "resume").requests > 0, "the reconnectors were away and came back"
    assert run.line("POST", "message").requests > 0
    assert all(run.line(*promise).failures == 0 for promise in BROKEN)
    assert "WS" in run.html.read_text()


def test_missed_threshold_gives_exit_code_1(system: System, tmp_path: Path) -> None:
    options = ("--pace", "2", "--max-ack-p99-ms", "10000", "--max-delivery-p99-ms", "0.001")
    run = _run(tmp_path, system, *options, users=10, seconds=6)
    assert run.exit_code == 1, run.output
    assert "Not met: p99 of deliveries is" in run.output


async def test_listener_without_end_of_chat_has_a_gap(system: System, tmp_path: Path) -> None:
    """No user writes over a socket here, so only its position shows that a listener received nothing more."""
    async with muffled(urlsplit(system.url).port or 80, after=6) as url:
        options = ("--pace", "2", *PATIENT, "--processes", "2", "Lurker", "Publisher")
        process = start_locust(tmp_path, url, *options, users=8, rate=20, seconds=8)
        run = await asyncio.to_thread(outcome, tmp_path, process)
    assert run.line("WS", "delivery").requests > 0, run.output
    assert run.line("WS", "gap").failures > 0, run.output
    assert run.exit_code == 1, run.output


def test_reconnect_storm_over_two_workers_leaves_no_gap(system: System, tmp_path: Path) -> None:
    run = _run(tmp_path, system, "--processes", "2", "--pace", "3", *PATIENT, users=20, seconds=10, shape="storm")
    assert run.exit_code == 0, run.output
    assert run.line("WS", "resume").requests >= 18, "all but the publisher lost their connection"
    assert run.line("WS", "delivery").requests > 50


def test_ramp_rises_in_steps_and_spike_rises_and_falls(system: System, tmp_path: Path) -> None:
    running = {}
    for shape in ("ramp", "spike"):
        (tmp_path / shape).mkdir()
        options = ("--pace", "2", *PATIENT)
        running[shape] = start_locust(
            tmp_path / shape, system.url, *options, users=10, rate=100, seconds=12, shape=shape
        )
    runs = {shape: outcome(tmp_path / shape, process) for shape, process in running.items()}
    for run in runs.values():
        assert run.exit_code == 0, run.output
    counts = runs["ramp"].users
    steps = [users for users, _ in groupby(counts[: len(counts) - counts[::-1].index(10)])]  # then they leave
    assert (steps[0], steps[-1]) == (2, 10)
    assert steps == sorted(steps)
    assert len(steps) >= 4
    there = [users for users, _ in groupby(runs["spike"].users)]
    assert [users for users in there if users in (2, 10)] == [2, 10, 2]
