"""A foreign program ends with its parent, by either of the two mechanisms."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import wait_until
from tests.up.process_tree import command_of, is_alive

ROOT = Path(__file__).parents[2]
PARENT = """
    import os, subprocess, sys
    lifeline, ours = os.pipe()
    program = [sys.executable, "-c", sys.argv[1], str(lifeline), "/bin/sleep", "60"]
    print(subprocess.Popen(program, pass_fds=[lifeline]).pid, flush=True)
    sys.stdin.read()
    sys.exit(0)
"""
WAYS = {
    "kernel": "import sys; from gateway.up import parent_death; parent_death.main(sys.argv[1:])",
    "watcher": "import sys; from gateway.up.parent_death import main; sys.platform = 'other'; main(sys.argv[1:])",
}


@pytest.fixture(
    params=[pytest.param("kernel", marks=pytest.mark.skipif(sys.platform != "linux", reason="")), "watcher"]
)
def parent(request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that starts a program that dies with it, prints its id, and waits."""
    command = [sys.executable, "-c", textwrap.dedent(PARENT), WAYS[request.param]]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def _program(parent: "subprocess.Popen[bytes]") -> int:
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_until(lambda: command_of(pid).startswith("/bin/sleep"), "it is the program, under the same id")
    return pid


def test_process_ends_with_killed_parent(parent: "subprocess.Popen[bytes]") -> None:
    pid = _program(parent)
    parent.kill()
    wait_until(lambda: not is_alive(pid), "it is gone")


def test_process_ends_with_parent_that_exits(parent: "subprocess.Popen[bytes]") -> None:
    pid = _program(parent)
    assert parent.stdin is not None
    parent.stdin.close()
    wait_until(lambda: not is_alive(pid), "it is gone")
