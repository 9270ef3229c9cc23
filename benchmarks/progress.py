"""The progress of a run on stderr: a bar on a terminal, else a line per step."""

import sys
import time

WIDTH = 24


class Progress:
    """Counts steps up to a total; `next` starts one."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = -1
        self._began = time.monotonic()

    def next(self, name: str) -> None:
        """Finish the previous step and start this one."""
        self._done += 1
        spent = time.monotonic() - self._began
        share = min(1.0, self._done / self._steps)
        bar = "█" * round(share * WIDTH) + "·" * (WIDTH - round(share * WIDTH))
        text = f"{bar} {share:4.0%} {spent:4.0f} s  {name}"
        sys.stderr.write(f"\r\x1b[K{text}" if sys.stderr.isatty() else text + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Finish: end the line of the bar."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
