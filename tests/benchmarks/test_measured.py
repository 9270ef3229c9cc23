"""Measured CPU time and memory, and the side reported as the limit."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.measured import Measured, Meter, Spent
from tests.support.servers import wait_until


@pytest.fixture
def spinning() -> Iterator[int]:
    """A process that never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def idle() -> Iterator[int]:
    """A process that does nothing."""
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def spent(server: float, load: float, others: float) -> Spent:
    """A second of so much work."""
    return Spent(1.0, (server,), load, others)


def test_busy_server_is_the_limit_whatever_the_load() -> None:
    assert spent(0.97, 0.95, 1.0).limit == "server"


def test_busy_load_with_idle_server_is_the_limit() -> None:
    assert spent(0.6, 0.95, 1.0).limit == "load side"


def test_load_busy_for_most_of_each_round_is_the_limit() -> None:
    assert spent(0.3, 0.65, 0.7).limit == "load side"


def test_busy_other_cores_are_the_limit() -> None:
    assert spent(0.5, 0.2, 0.99).limit == "other cores"


def test_idle_sides_mean_no_limit() -> None:
    assert spent(0.3, 0.1, 0.5).limit == ""


def test_meter_reads_each_server_and_load_separately(spinning: int, idle: int) -> None:
    meter = Meter(lambda: Measured(spinning).cpu_s, Measured(idle), Measured(spinning))
    wait_until(lambda: Measured(spinning).cpu_s > 0.3, "it has spun")
    meter.start()
    began = Measured(spinning).cpu_s
    wait_until(lambda: Measured(spinning).cpu_s > began + 0.3, "it has spun on")
    found = meter.stop()
    assert found.each_cpu_s[0] < 0.1
    assert found.each_cpu_s[1] >= 0.3
    assert found.load == pytest.approx(found.each_cpu_s[1] / found.seconds, rel=0.2)


def test_meter_reads_servers_behind_from_its_start() -> None:
    cpu_s = iter([1.0, 2.0, 5.0])  # when it is made, started and stopped
    meter = Meter(lambda: 0, behind={"Redis": lambda: next(cpu_s)})
    meter.start()
    assert meter.stop().behind_cpu_s == {"Redis": 3.0}


def test_memory_is_that_of_the_process() -> None:
    assert 1 << 20 < Measured(os.getpid()).rss_bytes < 4 << 30
