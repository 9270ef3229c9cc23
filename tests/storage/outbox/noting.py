"""A node whose commits are read for endpoints."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from storage.database.database import open_database
from storage.log.chat_log import open_chat_log
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Head, Wanted
from tests.storage.nodes import Node, node_over

MESSAGES = frozenset({EventType.MESSAGE_CREATED, EventType.MESSAGE_EDITED, EventType.MESSAGE_DELETED})
WANTED = Wanted({"one": MESSAGES})


@asynccontextmanager
async def open_noting(url: str, wanted: Wanted = WANTED) -> AsyncIterator[tuple[Node, Outbox]]:
    """A node with endpoints."""
    async with open_database(url) as database, open_chat_log(database) as log:
        outbox = Outbox(database, wanted)
        await outbox.begin()
        yield node_over(database, log), outbox


def spans(heads: Sequence[Head]) -> list[tuple[int, int, int]]:
    """Stream, first and last seq of each."""
    return [(head.stream, head.from_seq, head.to_seq) for head in heads]
