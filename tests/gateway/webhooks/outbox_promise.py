"""What an endpoint must have got of each stream, and in which order (`docs/webhooks.md`, "What is guaranteed")."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from storage.database.database import Database
from storage.outbox_records import TYPES_OF_KINDS, EventType
from storage.records import EventKind

_LAST_SEQS: Final = "SELECT chat_id AS stream, max(seq) AS reached FROM chat_log GROUP BY chat_id"
_EXTRAS: Final = "SELECT stream, count(*) AS reached FROM outbox_events WHERE endpoint = $1 GROUP BY stream"


class Arrival(NamedTuple):
    """An event of a stream, in the order of its commit: after the log's event `seq`, or this event itself."""

    stream: int
    seq: int
    number: int
    """Of an event that the log does not have: among those of its stream."""
    type: str
    data: str


class Standing(NamedTuple):
    """What was committed of each stream at a moment: up to this seq, and so many events that the log does not have."""

    seqs: dict[int, int]
    extras: dict[int, int]


class Drop(NamedTuple):
    """An endpoint was dropped, and set up again, when it had seen so many events."""

    seen: int
    before: Standing
    after: Standing
    is_stopped: bool
    """No node delivered to it meanwhile, so that nothing of before may arrive."""


_EVERYTHING: Final = Standing({}, {})


class Promise:
    """Compares what has arrived with the database, in which `shadow` keeps all events that the log does not have."""

    def __init__(self, database: Database, shadow: str) -> None:
        self._database = database
        self._shadow = shadow

    async def standing(self) -> Standing:
        """What is committed now."""
        seqs = await self._database.fetch(_LAST_SEQS)
        extras = await self._database.fetch(_EXTRAS, self._shadow)
        return Standing(*({row["stream"]: row["reached"] for row in rows} for rows in (seqs, extras)))

    async def breaches(
        self, stream: int, seen: Sequence[dict[str, Any]], types: frozenset[str], *, is_ordered: bool, drop: Drop | None
    ) -> list[str]:
        """What of the stream is missing, too much or in another order."""
        if drop is None:
            return await self._compared(stream, _arrivals(seen), types, is_ordered, None)
        kept = {one.seq for one in await self._logged(stream)}
        former = [one for one in _arrivals(seen[: drop.seen]) if one.stream == stream]
        former = [one for one in former if one.number or one.seq in kept]
        wrong = [f"before the drop: {_told(former)}"] if is_ordered and former != sorted(former) else []
        arrived = _arrivals(seen[drop.seen :])
        return wrong + await self._compared(stream, arrived, types, is_ordered and drop.is_stopped, drop)

    async def _compared(
        self, stream: int, arrived: Sequence[Arrival], types: frozenset[str], is_ordered: bool, drop: Drop | None
    ) -> list[str]:
        """All has arrived that was not removed, and after a drop nothing of before."""
        may_begin = drop.before if drop is not None and drop.is_stopped else _EVERYTHING
        must_begin = _EVERYTHING if drop is None else drop.after
        actual = [one for one in arrived if one.stream == stream]
        if not is_ordered:
            actual.sort()
        kept = {one.seq: one.type for one in await self._logged(stream) if one.type in types}
        first_seq = await self._first_seq(stream)
        logged = [one for one in actual if not one.number]
        # Events that were removed may come late: from a node that read them before, and whose lease has ended since.
        in_order = [one for one in actual if one.number or one.seq in kept]
        wrong = [] if in_order == sorted(in_order) else ["another order"]
        must = {seq for seq in kept if seq > must_begin.seqs.get(stream, 0)}
        if missing := must - {one.seq for one in logged}:
            wrong.append(f"missing {sorted(missing)}")
        for one in logged:
            is_removed = first_seq is None or one.seq < first_seq
            if one.seq <= may_begin.seqs.get(stream, 0) or not (kept.get(one.seq) == one.type or is_removed):
                wrong.append(f"unexpected {_told([one])}")
        ends = [one for one in actual if one.type == EventType.CHAT_REMOVED]
        if late := [one for one in actual if ends and one > ends[0]]:
            wrong.append(f"after the removal {_told(late)}")
        extras = [_nameless(one) for one in sorted(actual) if one.number]
        every = await self.extras(stream)
        begins = range(may_begin.extras.get(stream, 0), must_begin.extras.get(stream, 0) + 1)
        possible = [[_nameless(one) for one in every[begin:] if one.type in types] for begin in begins]
        if drop is not None and not drop.is_stopped:  # events of before the drop may arrive too
            extras = extras[-len(possible[-1]) :] if possible[-1] else []
            possible = possible[-1:]
        if extras not in possible:
            wrong.append(f"beside the log expected {_told(every)} from {begins}")
        return wrong and [*wrong, f"  first seq {first_seq}, kept {kept}", f"  actual {_told(actual)}"]

    async def _first_seq(self, stream: int) -> int | None:
        """The first one that the log has; None if the chat was removed."""
        rows = await self._database.fetch("SELECT first_seq FROM chats WHERE id = $1 AND NOT is_removed", stream)
        return rows[0]["first_seq"] if rows else None

    async def _logged(self, stream: int) -> list[Arrival]:
        rows = await self._database.fetch("SELECT seq, kind, reaction FROM chat_log WHERE chat_id = $1", max(0, stream))
        return [Arrival(stream, row["seq"], 0, _type_of(row), "") for row in rows]

    async def extras(self, stream: int) -> list[Arrival]:
        """The events of the stream that the log does not have, in their order."""
        rows = await self._database.fetch(
            "SELECT id, after_seq, type, data FROM outbox_events WHERE endpoint = $1 AND stream = $2 ORDER BY id",
            self._shadow,
            stream,
        )
        return [Arrival(stream, row["after_seq"], row["id"], row["type"], row["data"]) for row in rows]

    async def members_differ(self, chat_id: int) -> list[str]:
        """Whether a receiver that follows the events has other members or another owner than the chat."""
        if await self._first_seq(chat_id) is None:
            return []
        known: set[int] = set()
        known_owner = None
        for one in await self.extras(chat_id):
            data = json.loads(one.data)
            match one.type:
                case "chat.created":
                    known, known_owner = {member["user_id"] for member in data["members"]}, data["by"]
                case "member.added":
                    known.add(data["user_id"])
                case "member.removed":
                    known.discard(data["user_id"])
                case "chat.changed":
                    known_owner = data["changed"].get("owner_id", known_owner)
        rows = await self._database.fetch("SELECT user_id FROM memberships WHERE chat_id = $1", chat_id)
        (chat,) = await self._database.fetch("SELECT creator_id FROM chats WHERE id = $1", chat_id)
        members, owner = {row["user_id"] for row in rows}, chat["creator_id"]
        wrong = [] if known == members else [f"chat {chat_id} has members {members}, by its events {known}"]
        if members and owner != known_owner:
            wrong.append(f"chat {chat_id} is of {owner}, by its events of {known_owner}")
        return wrong


def _type_of(row: dict[str, Any]) -> str:
    types = TYPES_OF_KINDS[row["kind"]]
    return types[0] if row["kind"] != EventKind.REACTION else types[row["reaction"].startswith("-")]


def _nameless(one: Arrival) -> tuple[int, bool, str, str]:
    """Without the number, which is another one for each endpoint."""
    return one.seq, one.number > 0, one.type, one.data


def _told(arrivals: Sequence[Arrival]) -> str:
    return ", ".join(f"{one.seq} {one.type}" for one in arrivals)


def _arrivals(seen: Sequence[dict[str, Any]]) -> list[Arrival]:
    """Each event when it arrived for the first time."""
    first: dict[str, Arrival] = {}
    for event in seen:
        _, where, place = event["id"].split(":")
        seq, _, number = place.partition(".")
        stream = -int(where.removeprefix("user-")) if where.startswith("user-") else int(where)
        data = json.dumps(event["data"], separators=(",", ":")) if number else ""
        first.setdefault(event["id"], Arrival(stream, int(seq), int(number or 0), event["type"], data))
    return list(first.values())
