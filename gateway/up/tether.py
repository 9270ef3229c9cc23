"""Run a foreign program that dies with us: `python -m gateway.up.tether LIFELINE_FD program arguments…`.

The lifeline is a pipe's read end; the write end is the supervisor's alone, and closes however the supervisor ends.
On Linux the kernel does it (prctl(2), PR_SET_PDEATHSIG, which survives execve). Elsewhere a small process of ours
waits at the lifeline. Either way the program has the process id that the supervisor started.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

PR_SET_PDEATHSIG: Final = 1


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the program."""
    lifeline, command = int(arguments[0]), list(arguments[1:])
    if sys.platform == "linux":
        die_by_kernel(lifeline)
    else:
        die_by_watcher(lifeline)
    os.close(lifeline)
    os.execv(command[0], command)  # noqa: S606  the supervisor chose it


def die_by_kernel(lifeline: int) -> None:
    """SIGKILL this process, whatever it has become, when the supervisor ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.set_blocking(lifeline, False)
    try:
        if os.read(lifeline, 1) == b"":  # it ended before we had asked the kernel
            sys.exit(1)
    except BlockingIOError:
        return


def die_by_watcher(lifeline: int) -> None:
    """The same with a process beside it that waits for the lifeline's end."""
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
