"""What is sent of a claimed head: its next events, in order, at most MAX_EVENTS."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gateway.delivery.open_chats import OpenChats
from gateway.interfaces.outbox import LogRanges, OutboxQueue, OutsideEvent
from gateway.webhooks import events
from gateway.webhooks.attendance import Attendance, AttendanceReader
from storage.outbox_records import EventType, ExtraEvent, Head, LoggedEvent
from storage.records import ChatEvent, EventKind, Positions

MAX_EVENTS: Final = 100
"""Events of a delivery."""


class Load(Struct, frozen=True):
    """The next events of a head. Once they are delivered, it is at `seq`, and empty if `is_all`."""

    head: Head
    events: tuple[OutsideEvent, ...]
    seq: int
    is_all: bool
    extra_ids: tuple[int, ...]
    logged: tuple[tuple[int, str], ...]
    """The seqs and types of the log's events among them."""
    lost: int
    """Events up to `seq` that were removed with their chat or by retention before they could be sent."""


class Loader:
    """Reads the loads of an endpoint's heads: a few queries for any number of heads.

    New messages of chats that are open on this node are in memory, most of them.
    """

    def __init__(
        self,
        endpoint: str,
        types: frozenset[str],
        outbox: OutboxQueue,
        log: LogRanges,
        attendance: AttendanceReader | None = None,
        open_chats: OpenChats | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._open_chats = open_chats
        self._attendance = attendance if EventType.MESSAGE_CREATED in types else None
        self._types = types
        self._outbox = outbox
        self._log = log

    async def read(self, heads: Sequence[Head]) -> list[Load]:
        """Raises: StorageUnavailable."""
        positions = await self._log.positions([head.stream for head in heads])
        epoch = positions.epoch
        logged = await self._logged(heads, positions)
        present = await self._attendances(logged, positions)
        extras: dict[int, list[ExtraEvent]] = {head.stream: [] for head in heads}
        limits = {head.stream: head.extra_to for head in heads if head.extra_to}
        for extra in await self._outbox.extras(self._endpoint, list(limits)) if limits else []:
            if extra.id <= limits[extra.stream]:
                extras[extra.stream].append(extra)
        return [
            await self._load(
                epoch, head, logged.get(head.stream, []), extras[head.stream], limits, present.get(head.stream)
            )
            for head in heads
        ]

    async def _logged(self, heads: Sequence[Head], positions: Positions) -> dict[int, Sequence[LoggedEvent]]:
        """The first MAX_EVENTS events of the log of each head, by chat."""
        found: dict[int, Sequence[LoggedEvent]] = {}
        ranges = []
        for head in heads:
            if head.from_seq <= head.to_seq:
                events: Sequence[ChatEvent] = ()
                position = positions.chats.get(head.stream)
                if self._open_chats is not None and position is not None and position.first_seq <= head.from_seq:
                    events = self._open_chats.new_messages(
                        head.stream, head.from_seq, position.last_seq, positions.epoch
                    )
                if events:
                    waiting = events[: min(MAX_EVENTS, head.to_seq + 1 - head.from_seq)]
                    found[head.stream] = [LoggedEvent(event, event.created_at) for event in waiting]
                else:
                    ranges.append((head.stream, head.from_seq, head.to_seq))
        return {**found, **await self._log.read(ranges, MAX_EVENTS)} if ranges else found

    async def _attendances(
        self, logged: Mapping[int, Sequence[LoggedEvent]], positions: Positions
    ) -> dict[int, Attendance]:
        """Of the chats with new messages."""
        if self._attendance is None:
            return {}
        return await self._attendance.read(
            {
                chat: positions.chats[chat].members_version
                for chat, entries in logged.items()
                if chat in positions.chats and any(entry.event.kind == EventKind.MESSAGE for entry in entries)
            },
            self._open_chats,
        )

    async def _load(
        self,
        epoch: str,
        head: Head,
        logged: Sequence[LoggedEvent],
        extras: Sequence[ExtraEvent],
        limits: dict[int, int],
        attendance: Attendance | None,
    ) -> Load:
        is_whole = len(logged) < MAX_EVENTS or logged[-1].event.seq >= head.to_seq
        if not is_whole:  # what comes after events that were not read waits with them
            extras = [extra for extra in extras if extra.after_seq <= logged[-1].event.seq]
        entries: list[LoggedEvent | ExtraEvent] = sorted([*logged, *extras], key=_place)
        taken = entries[:MAX_EVENTS]
        is_all = is_whole and len(taken) == len(entries)
        if is_all and extras:
            is_all = extras[-1].id == limits[head.stream]
        seqs = [entry.event.seq for entry in taken if isinstance(entry, LoggedEvent)]
        is_whole = is_whole and len(seqs) == len(logged)
        sent: list[OutsideEvent] = []
        of_log: list[tuple[int, str]] = []
        for entry in taken:
            event = await self._event(epoch, entry, attendance)
            if event is None:
                continue
            sent.append(event)
            if isinstance(entry, LoggedEvent):
                of_log.append((entry.event.seq, event.type))
        seq = head.to_seq if is_whole else seqs[-1] if seqs else head.from_seq - 1
        return Load(
            head,
            tuple(sent),
            seq,
            is_all,
            tuple(entry.id for entry in taken if isinstance(entry, ExtraEvent)),
            tuple(of_log),
            max(0, seq + 1 - head.from_seq) - len(seqs),  # the log has no other holes
        )

    async def _event(
        self, epoch: str, entry: LoggedEvent | ExtraEvent, attendance: Attendance | None
    ) -> OutsideEvent | None:
        """The event as it leaves, unless the endpoint does not want it or it is no longer in the log."""
        if isinstance(entry, ExtraEvent):
            if entry.log_seq is None:
                return events.extra_event(epoch, entry) if entry.type in self._types else None
            found = await self._log.read([(entry.stream, entry.log_seq, entry.log_seq)], 1)
            if not found.get(entry.stream):
                return None
            entry = found[entry.stream][0]
        type_: EventType | None = events.type_of(entry.event)
        return (
            events.logged_event(epoch, entry, type_, attendance) if type_ is not None and type_ in self._types else None
        )


def _place(entry: LoggedEvent | ExtraEvent) -> tuple[int, int, int]:
    if isinstance(entry, LoggedEvent):
        return entry.event.seq, 0, 0
    return entry.after_seq, 1, entry.id
