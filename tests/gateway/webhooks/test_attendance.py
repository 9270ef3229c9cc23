"""Who of a chat is connected: what is read of it, and from where."""

from typing import cast

from gateway.interfaces.client_registry import ClientRegistry
from gateway.interfaces.presence import Presence
from gateway.webhooks.attendance import AttendanceReader
from storage.database.database import open_database
from storage.outbox.member_ids import MemberIds
from tests.support.migrated import make_store


async def test_redis_is_not_asked_of_a_chat_without_members(sqlite_url: str) -> None:
    await make_store(sqlite_url)
    without_redis = cast("Presence", None), cast("ClientRegistry", None)
    async with open_database(sqlite_url) as database:
        found = await AttendanceReader(MemberIds(database), *without_redis).read({7: 1}, None)
    assert (found[7].members, found[7].is_truncated) == ((), False)
