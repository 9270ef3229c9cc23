"""Members who use the JavaScript client, each with a connection of its own, in one Node process."""

from collections.abc import Callable
from typing import Any

from tests.faults.people import Member, content_of, key_of
from tests.faults.rig import User
from tests.faults.world import World
from tests.node.js_client import JsClient, JsError, NodeProcess


class JsMembers:
    """The process, and whose events it tells of."""

    def __init__(self) -> None:
        self.process: NodeProcess | None = None
        self._takers: dict[str, Callable[[dict[str, Any]], None]] = {}

    def add(self, name: str, take: Callable[[dict[str, Any]], None]) -> None:
        """Pass the events of this client on."""
        self._takers[name] = take

    def take(self, name: str, event: dict[str, Any]) -> None:
        """An event of one of the clients."""
        self._takers[name](event)


class JsMember(Member):
    """A member whose messages, edits, deletions and reactions the client sends, and whose events it delivers.

    `by_stream`: no WebSocket passes, and it reads an event stream.
    """

    def __init__(self, world: World, chat: int, user: User, clients: JsMembers, *, by_stream: bool) -> None:
        super().__init__(world, chat, user, writes=True)
        self._clients = clients
        self._by_stream = by_stream
        clients.add(self.name, self._take)

    async def run(self) -> None:
        """Write, one after the other, until the writing is over."""
        process = self._clients.process
        assert process is not None
        client = await process.client(self.name, self._world.url, self._token, isTold=True, isBlocked=self._by_stream)
        await client.do("open", self.chat, {"since": 0})
        while True:
            await self._world.pause()
            if not self._world.is_writing:
                break
            self.sender.compose_anything()
            await self._send(client)
        await self._world.over.wait()

    async def _send(self, client: JsClient) -> None:
        key = self.sender.under_way
        try:
            stored = await client.act(self.chat, *_call_of(self.sender.command))
        except JsError as error:
            if error.code != "not_found" or not self.sender.loses_target():
                self._world.odd(self.chat, self.name, f"{error}")
                await self._world.over.wait()
            return
        assert key is not None
        if "seq" in stored:
            self.sender.settle(key, stored["seq"], stored["message_id"])
        else:
            self._world.odd(self.chat, self.name, f"{stored}")

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "message":
                message = frame["data"]
                self._deliver(message["seq"], message["id"], key_of(message), content=content_of(message))
                if not message["is_deleted"]:
                    self.sender.note_target(message["id"], message["seq"])
            case "reaction":
                self._deliver(frame["seq"], frame["message_id"], key_of(frame), frame["counts"])
            case "state":
                self._see(frame["client"], frame["chat"])
            case _:
                self._world.odd(self.chat, self.name, f"told to reload: {frame}")

    def _see(self, client: str, chat: str) -> None:
        if client == "live" and chat == "opening" and self.is_live is False and self.seq:
            self._world.history.reconnects.append((self._world.now, self.name))
        self.is_live = client == "live" and chat == "live"
        if "closed" in (client, chat):
            self._world.odd(self.chat, self.name, "closed for good")


def _call_of(command: dict[str, Any]) -> list[Any]:
    """The method of a chat that sends a command, and its arguments."""
    name = {"client_msg_id": command["client_msg_id"]}
    match command["type"]:
        case "message":
            more = {key: value for key, value in command.items() if key not in ("type", "text")}
            return ["send", command["text"], more]
        case "edit_message":
            return ["edit", command["id"], command["text"], name]
        case "delete_message":
            return ["delete", command["id"], name]
    return ["react", command["message_id"], command["key"], {"remove": command["remove"], **name}]
