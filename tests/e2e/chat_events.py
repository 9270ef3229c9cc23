"""Which events an endpoint must get: those of the log, and those that wait for an endpoint which is never there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from storage.database.database import open_database
from storage.outbox_records import TYPES_OF_KINDS
from tests.support.receiver import SECRET

CHANGES: Final = ("chat.changed", "member.added", "member.removed")
ABSENT: Final = {"url": "http://127.0.0.1:9/", "secret": SECRET, "name": "absent", "events": CHANGES}
"""A webhook. Nothing listens there, so that the outbox keeps each of its events."""

Order = Mapping[int, Sequence[tuple[int, str]]]
"""Of each chat the (seq, type) of its events: a change comes after the log's event `seq`."""


async def stored(database_url: str, chat_ids: Iterable[int]) -> Order:
    """The messages and changes of these chats, in the order of their commits; the nodes had the webhook ABSENT."""
    found = {}
    async with open_database(database_url) as database:
        for chat_id in chat_ids:
            logged = await database.fetch("SELECT seq, kind FROM chat_log WHERE chat_id = $1", chat_id)
            changes = await database.fetch(
                "SELECT after_seq, id, type FROM outbox_events WHERE endpoint = $1 AND stream = $2", "absent", chat_id
            )
            places = [(row["seq"], 0, TYPES_OF_KINDS[row["kind"]][0].value) for row in logged]
            places += [(row["after_seq"], row["id"], row["type"]) for row in changes]
            found[chat_id] = [(seq, type_) for seq, _, type_ in sorted(places)]
    return found


def arrived(events: Iterable[Mapping[str, Any]], chat_ids: Iterable[int]) -> Order:
    """The order in which events, each once, came to an endpoint."""
    found: dict[int, list[tuple[int, str]]] = {chat_id: [] for chat_id in chat_ids}
    for event in events:
        found[event["chat_id"]].append((event["seq"], event["type"]))
    return found
