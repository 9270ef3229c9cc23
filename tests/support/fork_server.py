"""A Python that has loaded `chat-gateway` with its libraries, and forks itself for each program that is to run.

Run as a module, by `tests.support.forked`. Takes orders on its standard input and answers on its standard output, a
JSON value a line: to run a program (the answer is its process id), and to give the wait status of one that has ended.
What our modules hold once they are loaded does not depend on the process (tests/test_servers.py), but for the random
prefix of message ids, which 64 random bits of each process follow.
"""

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
OURS: Final = ("auth", "gateway", "httpapi", "storage")
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None)


def main() -> None:
    """Serve until standard input ends; in a child, run its program."""
    load()
    prepare()
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


def load() -> list[str]:
    """Load all of our modules; returns their names."""
    names = [
        module.name
        for package in OURS
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
        if not module.name.endswith("__main__")
    ]
    for name in names:
        importlib.import_module(name)
    return names


def prepare() -> None:
    """Make what every gateway makes at its start from the default settings."""
    settings = importlib.import_module("gateway.config.settings").Settings
    default = {name: settings.__dataclass_fields__[name].default for name in ("public_url", "max_text_length")}
    version = importlib.import_module("httpapi.docs_pages").program_version()
    importlib.import_module("gateway.asyncapi.routes").web_socket_pages(version=version, **default)


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
    sys.argv = [order["module"], *order["arguments"]]
    sys.exit(importlib.import_module(order["module"]).main())


if __name__ == "__main__":
    main()
