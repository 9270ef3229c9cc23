"""How long the disk alone takes to keep what a commit writes: below that no durable message can be."""

import os
import secrets
import time
from pathlib import Path

from benchmarks.load import Spread

PAGE = 8192
"""Bytes of a page of PostgreSQL's WAL, which a small commit writes whole."""
PAGES = 2048  # written before, as PostgreSQL does with a segment of its WAL


def sync_latency(folder: Path, seconds: float, rate: float) -> Spread:
    """Write a page and wait for `fdatasync`, at most `rate` times a second; nothing else runs meanwhile."""
    path = folder / "pages"
    page = secrets.token_bytes(PAGE)
    took: list[float] = []
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(file, bytes(PAGES * PAGE), 0)
        os.fsync(file)
        began = time.monotonic()
        while (now := time.monotonic()) - began < seconds:
            time.sleep(max(0.0, began + len(took) / rate - now))
            start = time.perf_counter()
            os.pwrite(file, page, len(took) % PAGES * PAGE)
            os.fdatasync(file)
            took.append((time.perf_counter() - start) * 1000)
    finally:
        os.close(file)
        path.unlink()
    took.sort()
    return Spread(took[len(took) // 2], took[-1 - len(took) // 100], took[-1])
