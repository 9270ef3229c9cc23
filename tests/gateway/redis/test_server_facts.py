"""What each Redis of REDIS_URL says about itself, in each layout."""

import pytest

from gateway.redis.server_facts import read_facts
from tests.support.servers import RedisServer, free_port


@pytest.mark.parametrize("layout_url", ["two", "cluster"], indirect=True)
async def test_every_server_of_the_url_is_asked(layout_url: str) -> None:
    facts = await read_facts(layout_url)
    assert len(facts) >= 2
    for one in facts:
        assert one.trouble == ""
        assert one.version.startswith(("Redis ", "Valkey "))
        assert one.info is not None and one.info["maxmemory_policy"] == "noeviction"
        assert abs(one.ahead_s) < 1


async def test_one_unusable_server_does_not_hide_the_others(redis_server: RedisServer) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    lost, wrong, fine = await read_facts(
        f"{nowhere},{redis_server.url.replace('//', '//x:wrong-password@')},{redis_server.url}"
    )
    assert (lost.where, lost.trouble) == (nowhere, "it does not answer (ConnectionError)")
    assert wrong.trouble == "Redis rejects the user or password of REDIS_URL (WRONGPASS)"
    assert fine.trouble == ""
