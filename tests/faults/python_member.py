"""Members who use the Python client, each with a connection of its own."""

import asyncio
from typing import Any

from chat_gateway_client import CaughtUp, Client, Disconnected, Message, Other, Position, Reaction, Rejected, Stored

from tests.faults.people import Member, content_of, key_of
from tests.faults.rig import User
from tests.faults.world import World


class PythonMember(Member):
    """A member whose messages, edits, deletions and reactions the client sends, and whose events it delivers.

    The client does not say when it is away: `is_live` is true from its first connection on.
    """

    def __init__(self, world: World, chat: int, user: User) -> None:
        super().__init__(world, chat, user, writes=True)

    async def run(self) -> None:
        """Read until the run is over; meanwhile write, one after the other, until the writing is over."""
        async with Client(self._world.url, self._token) as client:
            reply = await client.command("subscribe", chat_id=self.chat)  # which says the epoch
            await client.subscribe(self.chat, since=Position(reply["result"]["epoch"], 0))
            self.is_live = True
            reading = asyncio.create_task(self._read(client))
            try:
                await self._write_all(client)
                await self._world.over.wait()
            finally:
                reading.cancel()
                await asyncio.wait([reading])

    async def _read(self, client: Client) -> None:
        try:
            async for event in client.events():
                self._take_event(event)
        except Disconnected as end:
            self._world.odd(self.chat, self.name, f"closed for good: {end}")
            self.is_live = False

    def _take_event(self, event: object) -> None:
        match event:
            case Message(seq=seq, id=message_id, raw=raw):
                self._deliver(seq, message_id, key_of(dict(raw)), content=content_of(dict(raw)))
                if not event.is_deleted:
                    self.sender.note_target(message_id, seq)
            case Reaction(seq=seq, message_id=message_id, raw=raw):
                self._deliver(seq, message_id, key_of(dict(raw)), dict(event.counts))
            case CaughtUp() | Other():
                pass
            case _:
                self._world.odd(self.chat, self.name, f"told to reload: {event}")

    async def _write_all(self, client: Client) -> None:
        while True:
            await self._world.pause()
            if not self._world.is_writing:
                return None
            self.sender.compose_anything()
            key = self.sender.under_way
            assert key is not None
            try:
                stored = await _sent(client, self.chat, self.sender.command)
            except Rejected as error:
                if error.code == "not_found" and self.sender.loses_target():
                    continue
                return self._world.odd(self.chat, self.name, f"{error}")
            except Disconnected:
                return None  # `_read` says so
            if stored is None:
                return self._world.odd(self.chat, self.name, f"{self.sender.command} changed nothing")
            self.sender.settle(key, stored.seq, stored.message_id)


async def _sent(client: Client, chat: int, command: dict[str, Any]) -> Stored | None:
    """What the method of the client returns that sends a command."""
    name = command["client_msg_id"]
    match command["type"]:
        case "message":
            return await client.send(chat, **{key: value for key, value in command.items() if key != "type"})
        case "edit_message":
            return await client.edit(chat, command["id"], command["text"], client_msg_id=name)
        case "delete_message":
            return await client.delete(chat, command["id"], client_msg_id=name)
    remove = command["remove"]
    return await client.react(chat, command["message_id"], command["key"], remove=remove, client_msg_id=name)
