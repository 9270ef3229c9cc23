"""Keeps the memory of this process in huge pages, if Linux has them and gives them to programs that ask.

A message touches objects all over the heap. The processor keeps the places of some thousand pages; another one costs it
several reads of memory, in a virtual machine up to 24. Python never asks for huge pages, and by the default of several
distributions (`madvise`) a program that does not ask gets none. docs/benchmarks/profiles.md has what this saves.

Keeps: a huge page is made only where most of it is in use, so that the process grows by a third of its memory at most;
nothing is done where an operator has turned transparent huge pages off (`never`).
"""

import asyncio
import ctypes
import mmap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PERIOD_S: Final = 10.0
SHARE: Final = 0.001
"""The time in which memory is copied, of all time at most: for each huge page the kernel copies 2 MiB, which takes less
than a millisecond or, where a host has to find the memory first, several; what arrives meanwhile is served later.
"""
FILLED: Final = 0.75
"""The share of a huge page's memory that must be in use."""
_COPIED_S: Final = 0.0002
"""A request that took more CPU time has copied. One for a huge page that there is already takes some 0.02 ms."""
_SETTINGS: Final = Path("/sys/kernel/mm/transparent_hugepage")
_MAPPINGS: Final = Path("/proc/self/maps")
_MADV_COLLAPSE: Final = 25
"""Of madvise(2), since Linux 6.1. Earlier ones refuse it."""


class HugePages:
    """The memory of this process; `settings` is the folder of the kernel's own settings of huge pages."""

    def __init__(self, settings: Path = _SETTINGS) -> None:
        self._size = _size(settings)
        """Of one huge page, in bytes; 0 if there are none."""
        self._libc = ctypes.CDLL(None)
        self._libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]

    async def keep(self) -> None:
        """Look for memory to collapse every PERIOD_S; returns if there are no huge pages."""
        while self._size:
            await asyncio.sleep(PERIOD_S)
            copies = self.collapse()
            spent_s: float | None = 0.0
            while spent_s is not None:
                await asyncio.sleep(spent_s / SHARE)
                spent_s = await asyncio.to_thread(next, copies, None)

    def collapse(self) -> Iterator[float]:
        """Ask the kernel for huge pages wherever FILLED is reached; for each that it has copied the seconds of CPU."""
        for address in self._filled():
            started = time.thread_time()
            self._libc.madvise(address, self._size, _MADV_COLLAPSE)
            if (spent_s := time.thread_time() - started) > _COPIED_S:
                yield spent_s

    def _filled(self) -> Iterator[int]:
        """The addresses of all memory, in the size of huge pages, that is used enough."""
        pages = self._size // mmap.PAGESIZE
        used = ctypes.create_string_buffer(pages)
        for first, last in _private_memory():
            for address in range(-(-first // self._size) * self._size, last - self._size + 1, self._size):
                is_mapped = self._libc.mincore(address, self._size, used) == 0
                if is_mapped and used.raw.count(1) >= FILLED * pages:
                    yield address


def _size(settings: Path) -> int:
    try:
        if "[never]" in (settings / "enabled").read_text():
            return 0
        return int((settings / "hpage_pmd_size").read_text())
    except OSError:  # not Linux, or a kernel without them
        return 0


def _private_memory() -> Iterator[tuple[int, int]]:
    """The ranges of addresses that are in no file and writable: the heap, and what malloc and Python have mapped."""
    for line in _MAPPINGS.read_bytes().splitlines():
        addresses, permissions, _, _, inode, *name = line.split(None, 5)
        if permissions == b"rw-p" and inode == b"0" and not (name and name[0].startswith(b"[stack")):
            first, last = addresses.split(b"-")
            yield int(first, 16), int(last, 16)
