"""Runs a program that is killed when its parent ends.

Usage: `python -m gateway.up.parent_death LIFELINE_FD program arguments…`

The lifeline is the read end of a pipe; only the supervisor has the write end, which closes however the supervisor ends.
On Linux the kernel kills the program (prctl(2), PR_SET_PDEATHSIG, which survives execve). On other systems a small
process waits for the end of the lifeline. In both cases the program keeps the process id that the supervisor started.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1


def main(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the program."""
    lifeline, command = int(arguments[0]), list(arguments[1:])
    if sys.platform == "linux":
        die_by_kernel(lifeline)
    else:
        die_by_watcher(lifeline)
    os.close(lifeline)
    os.execv(command[0], command)  # noqa: S606  the supervisor's own command line


def die_by_kernel(lifeline: int) -> None:
    """Let the kernel send SIGKILL to this process when the supervisor ends, even after execve."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.set_blocking(lifeline, False)
    try:
        if os.read(lifeline, 1) == b"":  # the supervisor ended before the call of prctl
            sys.exit(1)
    except BlockingIOError:
        return


def die_by_watcher(lifeline: int) -> None:
    """Fork a process that waits for the end of the lifeline, and then kills this one."""
    program = os.getpid()
    if os.fork() > 0:
        return
    os.setsid()
    try:
        os.read(lifeline, 1)
        if os.getppid() == program:
            os.kill(program, signal.SIGKILL)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
