"""Judges a history: pure functions, each of which returns the violations of one rule (docs/delivery.md).

acked − stored = ∅; stored − attempted = ∅; nothing stored twice; each client's seqs strictly increase without a hole
once repetitions are removed; all agree on (chat, seq) → event; one sender's order is kept; every connected client has
caught up; the text of a message is what its last edit or deletion made of it, its data, target and mentions are what
its sender sent, and its reactions are the sum of their events.

Events that are older than their chat keeps them (`History.aged`) may be gone, whenever: nothing is asked of them, and
all of those after them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from enum import StrEnum
from typing import NamedTuple

from tests.faults.history import NO_CONTENT, QUEUE, Ack, Content, Counts, Delivery, History, Stored


class Rule(StrEnum):
    """What may be violated."""

    LOST = "lost"
    PHANTOM = "phantom"
    DUPLICATE = "duplicate"
    HOLE = "hole"
    DISAGREEMENT = "disagreement"
    ORDER = "order"
    BEHIND = "behind"
    TEXT = "text"
    CONTENT = "content"
    REACTIONS = "reactions"
    ODDITY = "oddity"


class Violation(NamedTuple):
    """One breach of a guarantee, described so that it can be found in the history."""

    rule: Rule
    chat: int
    what: str


def check(history: History) -> list[Violation]:
    """Every violation there is; an empty list means that the promise held."""
    return [violation for rule in _RULES for violation in rule(history)]


def _stored(history: History) -> Mapping[int, list[Stored]]:
    """By chat: its history as the first of its readers found it; `_disagreements` sees to the others."""
    chats: dict[int, list[Stored]] = {}
    for (chat, _), found in history.reads.items():
        chats.setdefault(chat, found)
    return chats


def _lost(history: History) -> Iterator[Violation]:
    """Acknowledged, but not stored: in somebody's view of the history, at the place that the ack named."""
    views = [
        (chat, reader, {(s.key, s.seq, s.message_id) for s in found}) for (chat, reader), found in history.reads.items()
    ]
    readers: dict[int, dict[str, set[str]]] = {}
    for (chat, reader), found in history.reads.items():
        readers.setdefault(chat, {})[reader] = {s.key for s in found}
    acks: dict[int, list[tuple[str, int, int]]] = {}
    for ack in history.acks:
        if ack.seq > history.aged.get(ack.chat, 0):
            acks.setdefault(ack.chat, []).append((ack.key, ack.seq, ack.message_id))
    for chat, reader, view in views:
        for missing in set(acks.get(chat, ())) - view:
            yield Violation(Rule.LOST, chat, f"{missing} was acknowledged, and {reader} does not find it")
    for taken in history.accepted:
        for reader in readers.get(taken.chat, {}):
            if taken.key not in readers[taken.chat][reader]:
                yield Violation(Rule.LOST, taken.chat, f"the queue took {taken.key}, and {reader} does not find it")
    for chat in (acks.keys() | {taken.chat for taken in history.accepted}) - {chat for chat, _, _ in views}:
        yield Violation(Rule.LOST, chat, "no client could read the chat, in which messages were acknowledged")


def _phantoms(history: History) -> Iterator[Violation]:
    """Stored or delivered, but never sent by that sender, or delivered and not stored."""
    attempted = {(attempt.chat, attempt.sender, attempt.key) for attempt in history.attempts}
    places: dict[int, set[tuple[int, int, str]]] = {}
    for chat, found in _stored(history).items():
        places[chat] = {(s.seq, s.message_id, s.key) for s in found}
        for s in found:
            if (chat, s.sender, s.key) not in attempted:
                yield Violation(Rule.PHANTOM, chat, f"{s} is stored, and no client sent it")
    for d in history.deliveries:
        if d.seq > history.aged.get(d.chat, 0) and (d.seq, d.message_id, d.key) not in places.get(d.chat, ()):
            yield Violation(Rule.PHANTOM, d.chat, f"{d} was pushed, and is not stored")


def _duplicates(history: History) -> Iterator[Violation]:
    """One event stored as two."""
    for chat, found in _stored(history).items():
        for key, count in Counter(s.key for s in found).items():
            if count > 1:
                yield Violation(Rule.DUPLICATE, chat, f"{key} is stored {count} times")


def _holes(history: History) -> Iterator[Violation]:
    """The history is not 1, 2, 3 …, or a client was pushed something other than the seq after its last."""
    for (chat, reader), found in history.reads.items():
        first = history.aged.get(chat, 0) + 1
        seqs = [s.seq for s in found]
        kept = [seq for seq in seqs if seq >= first]
        if kept != list(range(first, first + len(kept))) or seqs != sorted(set(seqs)):
            yield Violation(Rule.HOLE, chat, f"the history that {reader} read is not {first}, {first + 1} … in order")
    last: dict[tuple[int, str], int] = {}
    for d in history.deliveries:
        before = max(last.get((d.chat, d.client), 0), history.aged.get(d.chat, 0))
        if d.seq > before + 1:
            yield Violation(Rule.HOLE, d.chat, f"{d.client} was pushed {d.seq} after {before} at {d.at:.3f}")
        last[d.chat, d.client] = max(before, d.seq)


def _disagreements(history: History) -> Iterator[Violation]:
    """Two saw different messages at one place: pushed, acknowledged, or read."""
    seen: dict[tuple[int, int], tuple[int, str]] = {}
    sightings = (
        *((d.chat, d.seq, d.message_id, d.key) for d in history.deliveries),
        *((a.chat, a.seq, a.message_id, a.key) for a in history.acks),
        *((chat, s.seq, s.message_id, s.key) for (chat, _), found in history.reads.items() for s in found),
    )
    for chat, seq, message_id, key in sightings:
        first = seen.setdefault((chat, seq), (message_id, key))
        if first != (message_id, key):
            yield Violation(Rule.DISAGREEMENT, chat, f"at {seq} some saw {first} and some {(message_id, key)}")


def _disorder(history: History) -> Iterator[Violation]:
    """A sender's messages are stored in another order than they were sent in."""
    order = {(attempt.chat, attempt.key): number for number, attempt in enumerate(history.attempts)}
    for chat, found in _stored(history).items():
        latest: dict[int, Stored] = {}
        for s in found:
            number, before = order.get((chat, s.key)), latest.get(s.sender)
            if number is None or s.sender == QUEUE:
                continue  # a phantom, or without an order
            if before is not None and number < order[chat, before.key]:
                yield Violation(Rule.ORDER, chat, f"{before.key} is stored before {s.key}, and was sent after it")
            latest[s.sender] = s


def _stragglers(history: History) -> Iterator[Violation]:
    """After a quiet time, still without the last messages."""
    stored = _stored(history)
    for (chat, client), seq in history.ends.items():
        last_seq = max((s.seq for s in stored.get(chat, ())), default=0)
        if seq != last_seq:
            yield Violation(Rule.BEHIND, chat, f"{client} ended at {seq} of {last_seq}")


def _texts(history: History) -> Iterator[Violation]:
    """Somebody found a message in another state than its last event left it in."""
    deletions = {(attempt.chat, attempt.key) for attempt in history.attempts if attempt.is_deletion}
    aged = _aged_messages(history)
    for (chat, reader), found in history.reads.items():
        present = {s.message_id: "" if (chat, s.key) in deletions else s.key for s in found if not s.reaction}
        for s in found:
            if s.message_id not in aged and s.text != present[s.message_id]:
                expected = present[s.message_id]
                yield Violation(Rule.TEXT, chat, f"{reader} reads {s.text!r} at {s.seq}, and not {expected!r}")


def _contents(history: History) -> Iterator[Violation]:
    """Somebody was shown other data, another target or other mentions than the sender sent, or some of a deleted one.

    A push may show a message as it was before a later deletion; the history that was read in the end may not.
    """
    aged = _aged_messages(history)
    chats = {chat: _Contents(history, chat, found, aged) for chat, found in _stored(history).items()}
    for d in history.deliveries:
        if d.content is None or d.chat not in chats or d.message_id in aged:
            continue
        if not chats[d.chat].may_be_pushed(d.message_id, d.content):
            yield Violation(Rule.CONTENT, d.chat, f"{d.client} was pushed {d.content} at {d.seq}")
    for (chat, reader), found in history.reads.items():
        for s in found:
            if s.content is None or s.message_id in aged:
                continue
            if not chats[chat].may_be_read(s.message_id, s.content):
                yield Violation(Rule.CONTENT, chat, f"{reader} reads {s.content} at {s.seq}")


class _Contents:
    """What the messages of a chat have beside their texts."""

    def __init__(self, history: History, chat: int, found: Sequence[Stored], aged: Set[int]) -> None:
        self._aged = aged
        attempts = {attempt.key: attempt for attempt in history.attempts if attempt.chat == chat}
        self._sent: dict[int, Content] = {}
        self._texts: dict[int, set[str]] = {}
        self._deleted: set[int] = set()
        for s in found:
            attempt = attempts.get(s.key)
            if s.reaction or attempt is None:
                continue
            if attempt.is_deletion:
                self._deleted.add(s.message_id)
            else:
                self._texts.setdefault(s.message_id, set()).add(s.key)
            if attempt.content is not None:
                self._sent[s.message_id] = attempt.content
        for d in history.deliveries:
            if d.chat == chat and d.message_id in aged:
                self._texts.setdefault(d.message_id, set()).add(d.key)

    def may_be_pushed(self, message_id: int, content: Content) -> bool:
        """Whether the message had this content before it was deleted, or has it now."""
        target_id, text = content[1:3]
        may_quote = text in self._texts.get(target_id, ()) or self._may_be_empty(target_id, text)
        return may_quote and content in (self._whole(message_id, text), self._present(message_id, text))

    def may_be_read(self, message_id: int, content: Content) -> bool:
        """Whether the message has this content in the end."""
        target_id, text = content[1:3]
        is_empty = not target_id or target_id in self._deleted
        may_quote = text == "" if is_empty else text in self._texts.get(target_id, ())
        may_quote |= text == "" and target_id in self._aged
        return may_quote and content == self._present(message_id, text)

    def _may_be_empty(self, target_id: int, text: str) -> bool:
        return text == "" and (not target_id or target_id in self._deleted or target_id in self._aged)

    def _whole(self, message_id: int, text: str) -> Content:
        data, target_id, _, mentions = self._sent.get(message_id, NO_CONTENT)
        return data, target_id, text, mentions

    def _present(self, message_id: int, text: str) -> Content:
        data, target_id, _, mentions = self._whole(message_id, text)
        return ("", target_id, text, ()) if message_id in self._deleted else (data, target_id, text, mentions)


def _reactions(history: History) -> Iterator[Violation]:
    """A reaction was stored twice, or the counts of an event, of a push or of a message are not what came before."""
    deletions = {(attempt.chat, attempt.key) for attempt in history.attempts if attempt.is_deletion}
    aged = _aged_messages(history)
    told: dict[tuple[int, int], Counts] = {}
    for (chat, reader), all_found in history.reads.items():
        given: dict[int, set[tuple[int, str]]] = {}
        found = [s for s in all_found if s.message_id not in aged]
        for s in found:
            of_message = given.setdefault(s.message_id, set())
            one = s.sender, s.reaction[1:]
            if s.reaction and s.reaction.startswith("+") is (one in of_message):
                yield Violation(Rule.REACTIONS, chat, f"{reader} reads {s.reaction} of {s.sender} again at {s.seq}")
            if s.reaction:
                (of_message.add if s.reaction.startswith("+") else of_message.discard)(one)
                told[chat, s.seq] = s.counts or {}
                if s.counts != _count(of_message):
                    yield Violation(Rule.REACTIONS, chat, f"{reader} reads {s.counts} at {s.seq}: {_count(of_message)}")
            elif (chat, s.key) in deletions:
                of_message.clear()
        for s in found:
            if (s.reactions or {}) != (expected := _count(given[s.message_id])):
                yield Violation(Rule.REACTIONS, chat, f"{reader} reads {s.reactions} at {s.seq}, and not {expected}")
    for d in history.deliveries:
        if d.counts is not None and d.message_id not in aged and d.counts != told.get((d.chat, d.seq)):
            yield Violation(Rule.REACTIONS, d.chat, f"{d.client} was pushed {d.counts} at {d.seq}")


def _aged_messages(history: History) -> Set[int]:
    """The messages that are too old, and may be gone while later edits of them, and replies to them, are not."""
    seen: list[Ack | Delivery] = [*history.acks, *history.deliveries]
    return {event.message_id for event in seen if event.seq <= history.aged.get(event.chat, 0)}


def _count(given: set[tuple[int, str]]) -> Counts:
    return dict(Counter(reaction for _, reaction in given))


def _oddities(history: History) -> Iterator[Violation]:
    for oddity in history.oddities:
        yield Violation(Rule.ODDITY, oddity.chat, f"{oddity.client} at {oddity.at:.3f}: {oddity.what}")


_RULES: tuple[Callable[[History], Iterator[Violation]], ...] = (
    _lost,
    _phantoms,
    _duplicates,
    _holes,
    _disagreements,
    _disorder,
    _stragglers,
    _texts,
    _contents,
    _reactions,
    _oddities,
)
