"""How far a run has come, on stderr: a bar on a terminal, a line a step anywhere else."""

import sys
import time

WIDTH = 24


class Progress:
    """Of so many steps in all; `next` says which one begins."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = -1
        self._began = time.monotonic()

    def next(self, name: str) -> None:
        """The step before is done, and this one begins."""
        self._done += 1
        spent = time.monotonic() - self._began
        share = min(1.0, self._done / self._steps)
        bar = "█" * round(share * WIDTH) + "·" * (WIDTH - round(share * WIDTH))
        text = f"{bar} {share:4.0%} {spent:4.0f} s  {name}"
        sys.stderr.write(f"\r\x1b[K{text}" if sys.stderr.isatty() else text + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """All is done: leave the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
