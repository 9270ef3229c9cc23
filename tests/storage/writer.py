"""A process that writes and prints each seq: `python -m tests.storage.writer URL CHAT_ID USER_ID NAME COUNT`."""

import asyncio
import sys

from storage.records import Person
from tests.storage.nodes import message, open_node


async def write(url: str, chat_id: int, user_id: int, name: str, count: int) -> None:
    async with open_node(url) as node:
        for n in range(count):
            event = await node.say(message(chat_id, Person(user_id, "ann"), f"{name}-{n}", f"{name}-{n}"))
            print(event.seq, event.text, flush=True)  # noqa: T201


if __name__ == "__main__":
    url, chat_id, user_id, name, count = sys.argv[1:]
    asyncio.run(write(url, int(chat_id), int(user_id), name, int(count)))
