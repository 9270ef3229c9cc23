"""Memory in huge pages, as this kernel gives them."""

import asyncio
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.server.huge_pages import PERIOD_S, HugePages
from storage.database.migrate import migrate
from tests.support.gateway_node import GatewayNode
from tests.support.waiting import eventually

MIB = 1024 * 1024
SETTINGS = Path("/sys/kernel/mm/transparent_hugepage")


def kernel_collapses() -> bool:
    """Whether the kernel has huge pages of 2 MiB, which may be used, and `MADV_COLLAPSE`."""
    release = Path("/proc/sys/kernel/osrelease")
    if not (SETTINGS / "enabled").exists() or "[never]" in (SETTINGS / "enabled").read_text():
        return False
    major, minor = map(int, re.findall(r"\d+", release.read_text())[:2])
    return (major, minor) >= (6, 1) and (SETTINGS / "hpage_pmd_size").read_text().strip() == str(2 * MIB)


collapses = pytest.mark.skipif(not kernel_collapses(), reason="this kernel gives no huge pages")
gives_unasked = "[always]" in (SETTINGS / "enabled").read_text() if (SETTINGS / "enabled").exists() else False


def huge_bytes(pid: int | str = "self") -> int:
    """How much of a process' memory is in huge pages."""
    found = re.search(r"AnonHugePages:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())
    return 0 if found is None else int(found[1]) * 1024


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    """16 MiB, of which nothing is used yet."""
    with mmap.mmap(-1, 16 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapped:
        yield mapped


def use(memory: mmap.mmap, share: float) -> None:
    """Write to this share of the pages of each MiB."""
    for begin in range(0, len(memory), MIB):
        for at in range(begin, begin + round(share * MIB), mmap.PAGESIZE):
            memory[at] = 1


@collapses
def test_used_memory_gets_huge_pages(memory: mmap.mmap) -> None:
    use(memory, 1)
    list(HugePages().collapse())
    assert huge_bytes() >= 14 * MIB
    assert memory[0] == memory[15 * MIB] == 1


@collapses
@pytest.mark.skipif(gives_unasked, reason="this kernel gives huge pages unasked")
def test_memory_of_which_little_is_used_stays_small(memory: mmap.mmap) -> None:
    list(HugePages().collapse())
    use(memory, 0.5)
    before = huge_bytes()
    list(HugePages().collapse())
    assert huge_bytes() < before + 4 * MIB


@pytest.mark.skipif(gives_unasked, reason="this kernel gives huge pages unasked")
async def test_nothing_is_done_where_huge_pages_are_off(tmp_path: Path, memory: mmap.mmap) -> None:
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    (tmp_path / "hpage_pmd_size").write_text(f"{2 * MIB}\n")
    use(memory, 1)
    before = huge_bytes()
    for settings in (tmp_path, tmp_path / "none"):
        async with asyncio.timeout(30):
            await HugePages(settings).keep()
    assert huge_bytes() == before


@collapses
async def test_node_has_huge_pages(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    await migrate(sqlite_url)
    with GatewayNode(tmp_path / "node", REDIS_URL=redis_url, DATABASE_URL=sqlite_url) as node:
        await asyncio.sleep(PERIOD_S)
        # A copy that takes 10 ms is followed by a pause of 10 s.
        await eventually(lambda: huge_bytes(node.pid) >= 10 * MIB, timeout_s=120)
