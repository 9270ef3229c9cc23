"""Members who keep the documented rules: they resend, under the same id and before anything newer, what was not
acknowledged."""

import asyncio
import random
from collections import deque
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.faults.history import Attempt, Content, Stored
from tests.faults.mutations import SUFFIX
from tests.faults.rig import User
from tests.faults.sockets import ANSWER_S, BACKOFF_BASE_S, Socket
from tests.faults.world import World

DELETIONS, EDITS, REACTIONS = 0.05, 0.1, 0.2
"""Shares of what the writers send by WebSocket."""
EMOJI = ("👍", "❤️", "😂")
TARGETS = 10
"""So many of the latest messages are reacted to."""
YOUNG = 25
"""Half of what `ageing` leaves: what a chat gets while a sender waits for the end of a fault."""
PAGE = 200
CONTENT = 0.2
"""Share of the messages that carry data; as many reply to another one, and as many mention somebody."""
NOBODY = 10**15
"""The id of no user."""


class Sender:
    """A sender's events: one is under way at a time, so that their order is theirs (delivery.md, client rule)."""

    def __init__(self, world: World, chat: int, user: User, name: str) -> None:
        self._world = world
        self.chat = chat
        self.user = user
        self.name = name
        self._count = 0
        self._latest: int | None = None
        """The message to edit or delete."""
        self._targets: deque[tuple[int, int]] = deque(maxlen=TARGETS)
        """Messages of the chat to react and to reply to, each with its seq."""
        self._given: set[tuple[int, str]] = set()
        """The own reactions: (message, emoji)."""
        self.under_way: str | None = None
        """The key of what is offered and not acknowledged."""
        self.command: dict[str, object] = {}
        """It as a WebSocket command."""
        self.since = 0.0
        """When it was first offered."""

    def compose(self) -> None:
        """Begin the next message."""
        self._count += 1
        key = f"{self.name}.{self._count}"
        self._begin(key, {"type": "message", "text": key, "client_msg_id": key} | self._content(key))

    def _content(self, key: str) -> dict[str, object]:
        lot, fields = self._world.random, dict[str, object]()
        if lot.random() < CONTENT:
            fields["data"] = {"key": key, "any": [1.5, None, {"я": "\0"}]}
        if (targets := self._young_targets()) and lot.random() < CONTENT:
            fields["reply_to"] = lot.choice(targets)
        if lot.random() < CONTENT:
            fields["mentions"] = [NOBODY, self.user.id]
        return fields

    def compose_anything(self) -> None:
        """Begin the next message, edit, deletion or reaction."""
        lot = self._world.random.random()
        targets = self._young_targets()
        if self._latest is None or lot > DELETIONS + EDITS + REACTIONS or not targets:
            self.compose()
            return
        self._count += 1
        key = f"{self.name}.{self._count}"
        if lot > DELETIONS + EDITS:
            target, emoji = self._world.random.choice(targets), self._world.random.choice(EMOJI)
            fields = {"message_id": target, "key": emoji, "remove": (target, emoji) in self._given}
            self._begin(key, {"type": "react", **fields, "client_msg_id": key})
        elif lot > DELETIONS:
            self._begin(key, {"type": "edit_message", "id": self._latest, "text": key, "client_msg_id": key})
        else:
            self._begin(key, {"type": "delete_message", "id": self._latest, "client_msg_id": key})
            self._latest = None

    def _begin(self, key: str, command: dict[str, object]) -> None:
        self.under_way, self.command, self.since = key, command, self._world.now
        is_deletion = command["type"] == "delete_message"
        content = None if command["type"] != "message" else _sent_content(command)
        self._world.history.attempts.append(Attempt(self.since, self.chat, self.user.id, key, is_deletion, content))

    def settle(self, key: str, seq: int, message_id: int) -> bool:
        """The event with this key was found stored; False if it is not the one under way."""
        if key != self.under_way:
            return False
        self._world.ack(self.chat, key, seq, message_id)
        if self.command["type"] == "message":
            self._latest = message_id
            self.note_target(message_id, seq)
        elif self.command["type"] == "react":
            change = self._given.discard if self.command["remove"] else self._given.add
            change((message_id, str(self.command["key"])))
        self.under_way = None
        return True

    def note_target(self, message_id: int, seq: int) -> None:
        """A message of the chat, to react and to reply to."""
        if all(message_id != target for target, _ in self._targets):
            self._targets.append((message_id, seq))

    def _young_targets(self) -> list[int]:
        """Those that will not be too old before the event is stored."""
        aged = self._world.history.aged.get(self.chat)
        return [target for target, seq in self._targets if aged is None or seq > aged + YOUNG]

    def loses_target(self) -> bool:
        """Give up a reaction whose message was deleted meanwhile; False if something else is under way."""
        if self.under_way is None or self.command["type"] != "react":
            return False
        self.under_way = None
        return True


class Member(Socket):
    """A user's socket in one chat; if `writes`, a sender too."""

    def __init__(self, world: World, chat: int, user: User, *, writes: bool) -> None:
        super().__init__(world, chat, f"m{user.id}", user.token)
        self.user = user
        self.sender = Sender(world, chat, user, self.name)
        self._writes = writes
        self._acked = asyncio.Event()
        self._held_until = 0.0

    @property
    def _path(self) -> str:
        return f"/ws/chat/{self.chat}/"

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "message":
                self._take_message(frame["data"], is_answer=frame.get("duplicate") is True)
            case "reaction" if "seq" in frame:
                self._take_reaction(frame, is_answer=frame.get("duplicate") is True)
            case "connection_established":
                self._epoch = frame["epoch"]
            case "caught_up":
                self._catch_up(frame)
            case "reset":
                self._world.odd(self.chat, self.name, f"told to reload: {frame}")
            case "error" if frame["code"] == "unavailable":
                self._held_until = self._world.now + frame.get("retry_after_s", 0)
                self._acked.set()
            case "error" if frame["code"] == "not_found" and self.sender.loses_target():
                self._acked.set()
            case "error" | "reaction":  # one without a seq was stored before, under another key
                self._world.odd(self.chat, self.name, f"{frame}")

    def _take_message(self, message: dict[str, Any], *, is_answer: bool) -> None:
        seq, key = message["seq"], key_of(message)
        if not is_answer:
            self._deliver(seq, message["id"], key, content=content_of(message))
            if not message["is_deleted"]:
                self.sender.note_target(message["id"], seq)
        if self.sender.settle(key, seq, message["id"]):
            self._acked.set()

    def _take_reaction(self, reaction: dict[str, Any], *, is_answer: bool) -> None:
        seq, key = reaction["seq"], key_of(reaction)
        if not is_answer:
            self._deliver(seq, reaction["message_id"], key, reaction["counts"])
        if self.sender.settle(key, seq, reaction["message_id"]):
            self._acked.set()

    async def _write(self, socket: ClientConnection) -> None:
        if not self._writes:
            return
        try:
            while True:
                if self.sender.under_way is None:
                    await self._world.pause()
                    if not self._world.is_writing:
                        return
                    self.sender.compose_anything()
                self._acked.clear()
                await socket.send(orjson.dumps(self.sender.command).decode())
                async with asyncio.timeout(ANSWER_S):
                    await self._acked.wait()
                await asyncio.sleep(max(0.0, self._held_until - self._world.now))
        except TimeoutError:
            socket.transport.abort()  # it says nothing: come back elsewhere
        except ConnectionClosed:
            pass


POSTED = frozenset({"text", "data", "reply_to", "mentions"})
"""The keys of a message's command that its body over HTTP has too."""


class Poster:
    """A user who sends over HTTP alone, with Idempotency-Key."""

    def __init__(self, world: World, chat: int, user: User, http: httpx.AsyncClient) -> None:
        self._world = world
        self._http = http
        self.sender = Sender(world, chat, user, f"h{user.id}")

    async def run(self) -> None:
        """Send until the writing is over, and the last message is acknowledged."""
        attempt = 0
        while self._world.is_writing or self.sender.under_way is not None:
            if self.sender.under_way is None:
                attempt = 0
                await self._world.pause()
                if not self._world.is_writing:
                    return
                self.sender.compose()
            if not await self._post():
                attempt += 1
                await asyncio.sleep(random.uniform(0, min(5.0, BACKOFF_BASE_S * 2**attempt)))

    async def _post(self) -> bool:
        chat, key = self.sender.chat, self.sender.under_way
        assert key is not None
        try:
            answer = await self._http.post(
                f"{self._world.url}/api/v1/chats/{chat}/messages",
                json={name: value for name, value in self.sender.command.items() if name in POSTED},
                headers={"Authorization": f"Bearer {self.sender.user.token}", "Idempotency-Key": key},
            )
        except httpx.TransportError:
            return False
        if answer.status_code in (200, 201):
            message = answer.json()
            self.sender.settle(key, message["seq"], message["id"])
            return True
        if answer.status_code not in {429, 500, 502, 503, 504}:
            self._world.odd(chat, self.sender.name, f"answered {answer.status_code} {answer.text}")
        return False


def key_of(message: dict[str, Any]) -> str:
    """The key of the event that a message's object tells of."""
    client_msg_id: str = message["client_msg_id"]
    return client_msg_id.partition(SUFFIX)[0]


async def read_history(world: World, http: httpx.AsyncClient, chat: int, user: User) -> None:
    """Read the chat from its first message to its last, as any client can."""
    found: list[Stored] = []
    while True:
        answer = await http.get(
            f"{world.url}/api/v1/chats/{chat}/messages",
            params={"after_seq": found[-1].seq if found else 0, "limit": PAGE},
            headers={"Authorization": f"Bearer {user.token}"},
        )
        answer.raise_for_status()
        page = answer.json()["messages"]
        found += map(_stored, page)
        if len(page) < PAGE:
            world.history.reads[chat, f"m{user.id}"] = found
            return


def _stored(message: dict[str, Any]) -> Stored:
    """The event that a message's object in a page tells of."""
    reactions = message.get("reactions", {})
    place, key, text = (message["seq"], message["id"]), key_of(message), message["text"]
    reaction = message.get("reaction")
    content = content_of(message)
    if reaction is None:
        return Stored(*place, message["sender"]["id"], key, text, reactions, content=content)
    told = ("-" if reaction["removed"] else "+") + reaction["key"]
    return Stored(*place, reaction["user_id"], key, text, reactions, told, reaction["counts"], content)


def content_of(message: dict[str, Any]) -> Content:
    """What a message's object has beside its text."""
    target = message.get("reply_to", {})
    data = orjson.dumps(message["data"]).decode() if "data" in message else ""
    return data, target.get("id", 0), target.get("text", ""), tuple(message.get("mentions", ()))


def _sent_content(command: dict[str, Any]) -> Content:
    """What everybody should see of a message; who is no member is not mentioned."""
    mentions = tuple(user_id for user_id in command.get("mentions", ()) if user_id != NOBODY)
    data = orjson.dumps(command["data"]).decode() if "data" in command else ""
    return data, command.get("reply_to", 0), "", mentions
