"""A Python that has loaded the libraries of `chat-gateway`, and forks itself for each program that is to run.

Run as a module, by `tests.support.forked`. Takes orders on its standard input and answers on its standard output, a
JSON value a line: to run a program (the answer is its process id), and to give the wait status of one that has ended.
Our own modules are loaded by the programs: what these find out as they load, such as a prefix of ids, is their own.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

OURS: Final = ("auth", "gateway", "httpapi", "storage", "tests")
PROGRAM: Final = (
    "gateway.app",
    "gateway.auth_mount",
    "gateway.cli",
    "gateway.server.healthcheck",
    "gateway.server.logs",
    "gateway.server.serve",
    "gateway.transport.keepalive",
)
"""Where to look for what `chat-gateway` loads."""
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)


def main() -> None:
    """Serve until standard input ends; in a child, run its program."""
    for name in _libraries():
        with suppress(ImportError):  # not every name in sys.modules is that of a module that can be imported
            importlib.import_module(name)
    assert not [name for name in sys.modules if name.partition(".")[0] in OURS[:-1]]
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a process with threads cannot be forked safely"
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gives the orders
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if "ended" in order:
            _answer(os.waitpid(order["ended"], 0)[1])
        elif pid := os.fork():
            _answer(pid)
        else:
            _become(order)
            return


def _answer(value: int) -> None:
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


def _libraries() -> list[str]:
    """What `chat-gateway` loads from elsewhere, as a child finds by loading all of it."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        for name in PROGRAM:
            importlib.import_module(name)
        names = [name for name in sys.modules if name.partition(".")[0] not in OURS]
        os.write(writing, "\n".join(names).encode())  # a pipe takes 64 KiB
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as found:
        names = found.read().split()
    assert os.waitpid(pid, 0)[1] == 0
    return names


def _become(order: dict[str, Any]) -> None:
    """Run the program, in the folder, with the environment and the log that are given. Raises: SystemExit."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    if os.environ.get("PYTHONWARNINGS") == "error":  # read when a Python starts, which is before the fork
        warnings.simplefilter("error")
    sys.argv = ["-m", *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
