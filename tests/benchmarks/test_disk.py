from pathlib import Path

from benchmarks import disk


def test_times_writes_that_reach_the_disk_and_leaves_no_file(tmp_path: Path) -> None:
    found = disk.sync_latency(tmp_path, 0.05, 1000)
    assert 0 < found.p50 <= found.p99 <= found.worst
    assert not list(tmp_path.iterdir())
