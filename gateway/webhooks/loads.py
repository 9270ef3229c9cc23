"""What is sent of a claimed head: its next events, in order, at most MAX_EVENTS."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gateway.delivery.open_chats import OpenChats
from gateway.interfaces.outbox import LogRanges, OutboxQueue, OutsideEvent
from gateway.turns import portions
from gateway.webhooks import events
from gateway.webhooks.attendance import Attendance, AttendanceReader
from storage.outbox_records import EXTRAS_READ, EventType, ExtraEvent, Head, LoggedEvent
from storage.records import ChatEvent, EventKind, Positions

MAX_EVENTS: Final = 100
"""Events of a delivery."""
HEADS_A_TURN: Final = 10
"""Heads whose events are encoded in one turn of the event loop: 3 ms if each has MAX_EVENTS."""


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
        # Read after the heads, so that none is missing which the log's last event of a head comes after.
        with_extras = [head.stream for head in heads if head.has_extras]
        for extra in await self._outbox.extras(self._endpoint, with_extras) if with_extras else []:
            extras[extra.stream].append(extra)
        again = await self._logged_again([extra for of_stream in extras.values() for extra in of_stream])
        loads = []
        async for some in portions(heads, HEADS_A_TURN):
            for head in some:
                of_log, attendance = logged.get(head.stream, []), present.get(head.stream)
                loads.append(self._load(epoch, head, of_log, extras[head.stream], again, attendance))
        return loads

    async def _logged_again(self, extras: Sequence[ExtraEvent]) -> dict[int, LoggedEvent]:
        """The events of the log that are sent once more, by the id of the extra event, unless they were removed."""
        found = {}
        for extra in extras:
            if extra.log_seq is not None:
                read = await self._log.read([(extra.stream, extra.log_seq, extra.log_seq)], 1)
                if read.get(extra.stream):
                    found[extra.id] = read[extra.stream][0]
        return found

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

    def _load(
        self,
        epoch: str,
        head: Head,
        logged: Sequence[LoggedEvent],
        extras: Sequence[ExtraEvent],
        again: Mapping[int, LoggedEvent],
        attendance: Attendance | None,
    ) -> Load:
        is_whole = len(logged) < MAX_EVENTS or logged[-1].event.seq >= head.to_seq
        # What comes after events that were not read waits with them.
        ready = [extra for extra in extras if head.has(extra) and (is_whole or extra.after_seq <= logged[-1].event.seq)]
        is_every_extra = len(ready) == len(extras) < EXTRAS_READ
        extras = ready
        entries: Sequence[LoggedEvent | ExtraEvent] = sorted([*logged, *extras], key=_place) if extras else logged
        taken = entries[:MAX_EVENTS]
        is_all = is_whole and is_every_extra and len(taken) == len(entries)
        of_log = [entry for entry in taken if isinstance(entry, LoggedEvent)] if extras else logged[:MAX_EVENTS]
        outside = events.logged_events(epoch, head.stream, of_log, self._types, attendance)
        if extras:
            by_seq = {entry.event.seq: event for entry, event in zip(of_log, outside, strict=True)}
            every = [
                by_seq[entry.event.seq]
                if isinstance(entry, LoggedEvent)
                else self._extra(epoch, entry, again.get(entry.id), attendance)
                for entry in taken
            ]
        else:
            every = outside
        last_seq = of_log[-1].event.seq if of_log else head.from_seq - 1
        seq = head.to_seq if is_whole and len(of_log) == len(logged) else last_seq
        return Load(
            head,
            tuple([event for event in every if event is not None]),
            seq,
            is_all,
            tuple(entry.id for entry in taken if isinstance(entry, ExtraEvent)) if extras else (),
            tuple([(entry.event.seq, event.type) for entry, event in zip(of_log, outside, strict=True) if event]),
            max(0, seq + 1 - head.from_seq) - len(of_log),  # the log has no other holes
        )

    def _extra(
        self, epoch: str, entry: ExtraEvent, again: LoggedEvent | None, attendance: Attendance | None
    ) -> OutsideEvent | None:
        """An event that the log does not have, or the one that it repeats: `again`, unless it was removed."""
        if entry.log_seq is None:
            return events.extra_event(epoch, entry) if entry.type in self._types else None
        repeated = [] if again is None else [again]
        return next(iter(events.logged_events(epoch, entry.stream, repeated, self._types, attendance)), None)


def _place(entry: LoggedEvent | ExtraEvent) -> tuple[int, int, int]:
    if isinstance(entry, LoggedEvent):
        return entry.event.seq, 0, 0
    return entry.after_seq, 1, entry.id
