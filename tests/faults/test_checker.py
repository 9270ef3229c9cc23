"""The checker passes a good history and finds each broken guarantee in a changed one."""

from collections.abc import Callable

import pytest

from tests.faults.checker import Rule, check
from tests.faults.history import NO_CONTENT, QUEUE, Accepted, Ack, Attempt, Content, Delivery, History, Oddity, Stored

CHAT, ANN, BOB = 7, 1, 2
KEYS = ("ann.1", "bob.1", "ann.2")
SENDERS = (ANN, BOB, ANN)


def good() -> History:
    """Ann and Bob have talked, both have heard everything, one of them some of it twice."""
    history = History()
    for place, (key, sender) in enumerate(zip(KEYS, SENDERS, strict=True), 1):
        history.attempts.append(Attempt(place, CHAT, sender, key))
        history.acks.append(Ack(place + 0.1, CHAT, key, place, 100 + place))
        for client in ("ann", "bob"):
            history.deliveries.append(Delivery(place + 0.1, CHAT, client, place, 100 + place, key))
    history.deliveries.append(Delivery(5, CHAT, "bob", 2, 102, "bob.1"))
    for reader in ("ann", "bob"):
        stored = [
            Stored(place, 100 + place, sender, key, key)
            for place, key, sender in zip((1, 2, 3), KEYS, SENDERS, strict=True)
        ]
        history.reads[CHAT, reader] = stored
        history.ends[CHAT, reader] = 3
    return history


def lose_the_last_message(history: History) -> None:
    for found in history.reads.values():
        found.pop()


def lose_it_for_one_reader(history: History) -> None:
    history.reads[CHAT, "bob"].pop()


def move_an_acknowledged_message(history: History) -> None:
    history.acks[2] = history.acks[2]._replace(seq=4)


def forget_the_chat(history: History) -> None:
    history.reads.clear()


def lose_what_the_queue_took(history: History) -> None:
    history.accepted.append(Accepted(3, CHAT, "queue.1"))


def store_an_unsent_message(history: History) -> None:
    for found in history.reads.values():
        found.append(Stored(4, 104, ANN, "ann.3", "ann.3"))


def store_it_as_anothers(history: History) -> None:
    for found in history.reads.values():
        found[0] = found[0]._replace(sender=BOB)


def push_what_is_not_stored(history: History) -> None:
    history.deliveries.append(Delivery(4, CHAT, "ann", 4, 104, "ann.3"))


def store_it_twice(history: History) -> None:
    for found in history.reads.values():
        found.append(Stored(4, 104, ANN, "ann.2", "ann.2"))


def skip_a_push(history: History) -> None:
    del history.deliveries[2]


def begin_in_the_middle(history: History) -> None:
    del history.deliveries[0]


def leave_a_hole_in_the_log(history: History) -> None:
    for found in history.reads.values():
        found[2] = found[2]._replace(seq=4)


def show_another_message_at_a_place(history: History) -> None:
    history.deliveries[3] = history.deliveries[3]._replace(message_id=999)


def turn_ann_around(history: History) -> None:
    first, _, second = history.attempts
    history.attempts[0], history.attempts[2] = second, first


def leave_bob_behind(history: History) -> None:
    history.ends[CHAT, "bob"] = 2


def refuse_bob(history: History) -> None:
    history.oddities.append(Oddity(1, CHAT, "bob", "closed for good with 4409"))


def lose_an_edit(history: History) -> None:
    edit(history)
    for found in history.reads.values():
        found[0] = found[0]._replace(text="ann.1")


def show_what_was_deleted(history: History) -> None:
    edit(history)
    history.attempts[-1] = history.attempts[-1]._replace(is_deletion=True)


def react(history: History) -> None:
    """Bob reacts to Ann's first message, and Ann too."""
    for number, sender in enumerate((BOB, ANN), 1):
        key, seq, counts = f"r.{sender}", 3 + number, {"👍": number}
        history.attempts.append(Attempt(6, CHAT, sender, key))
        history.acks.append(Ack(6, CHAT, key, seq, 101))
        for client in ("ann", "bob"):
            history.deliveries.append(Delivery(6, CHAT, client, seq, 101, key, counts))
        for reader, found in history.reads.items():
            found[0] = found[0]._replace(reactions={"👍": 2})
            found.append(Stored(seq, 101, sender, key, "ann.1", {"👍": 2}, "+👍", counts))
            history.ends[reader] = seq


def count_a_reaction_twice(history: History) -> None:
    react(history)
    for found in history.reads.values():
        found[4] = found[4]._replace(counts={"👍": 3})


def store_a_reaction_twice(history: History) -> None:
    react(history)
    for found in history.reads.values():
        found[4] = found[4]._replace(sender=BOB, counts={"👍": 1})


def lose_the_count_of_a_message(history: History) -> None:
    react(history)
    history.reads[CHAT, "bob"][0] = history.reads[CHAT, "bob"][0]._replace(reactions={"👍": 1})


def push_other_counts(history: History) -> None:
    react(history)
    history.deliveries[-1] = history.deliveries[-1]._replace(counts={"👍": 1})


def lose_a_reaction(history: History) -> None:
    react(history)
    for found in history.reads.values():
        found.pop()


def keep_reactions_of_a_deleted_message(history: History) -> None:
    react(history)
    history.attempts.append(Attempt(7, CHAT, ANN, "ann.9", is_deletion=True))
    history.acks.append(Ack(7, CHAT, "ann.9", 6, 101))
    for reader, found in history.reads.items():
        found[:] = [stored._replace(text="" if stored.message_id == 101 else stored.text) for stored in found]
        found.append(Stored(6, 101, ANN, "ann.9", "", {"👍": 2}))
        history.ends[reader] = 6


def reply(history: History, *, deleted: bool = False) -> None:
    """Bob replies to Ann's first message with data and a mention; perhaps she deletes hers afterwards."""
    sent = '{"a":1}', 101, "", (ANN,)
    pushed = '{"a":1}', 101, "ann.1", (ANN,)
    history.attempts.append(Attempt(6, CHAT, BOB, "bob.9", content=sent))
    history.acks.append(Ack(6, CHAT, "bob.9", 4, 104))
    if deleted:
        history.attempts.append(Attempt(7, CHAT, ANN, "ann.9", is_deletion=True))
    for client in ("ann", "bob"):
        history.deliveries.append(Delivery(6, CHAT, client, 4, 104, "bob.9", content=pushed))
        found = history.reads[CHAT, client]
        found.append(Stored(4, 104, BOB, "bob.9", "bob.9", content=sent if deleted else pushed))
        if deleted:
            found[0] = found[0]._replace(text="")
            found.append(Stored(5, 101, ANN, "ann.9", "", content=NO_CONTENT))
        history.ends[CHAT, client] = 5 if deleted else 4


def show_content(history: History, content: Content, *, is_push: bool = False) -> None:
    if is_push:
        history.deliveries[-1] = history.deliveries[-1]._replace(content=content)
    else:
        history.reads[CHAT, "bob"][3] = history.reads[CHAT, "bob"][3]._replace(content=content)


def lose_data_in_the_log(history: History) -> None:
    reply(history)
    show_content(history, ("", 101, "ann.1", (ANN,)))


def lose_data_of_a_push(history: History) -> None:
    reply(history)
    show_content(history, ("", 101, "ann.1", (ANN,)), is_push=True)


def reply_to_another_message(history: History) -> None:
    reply(history)
    show_content(history, ('{"a":1}', 102, "bob.1", (ANN,)), is_push=True)


def quote_what_nobody_wrote(history: History) -> None:
    reply(history)
    show_content(history, ('{"a":1}', 101, "", (ANN,)))


def lose_a_mention(history: History) -> None:
    reply(history)
    show_content(history, ('{"a":1}', 101, "ann.1", ()))


def quote_what_was_deleted(history: History) -> None:
    reply(history, deleted=True)
    show_content(history, ('{"a":1}', 101, "ann.1", (ANN,)))


def keep_data_of_a_deleted_message(history: History) -> None:
    reply(history, deleted=True)
    history.attempts[-1] = history.attempts[-1]._replace(sender=BOB)
    for found in history.reads.values():
        found[4] = found[4]._replace(message_id=104, sender=BOB)
        found[0] = found[0]._replace(text="ann.1")
        found[3] = found[3]._replace(text="", content=('{"a":1}', 101, "ann.1", (ANN,)))


@pytest.mark.parametrize("deleted", [False, True])
def test_reply_with_data_and_mentions_passes(deleted: bool) -> None:
    history = good()
    reply(history, deleted=deleted)
    assert check(history) == []


def test_reactions_pass() -> None:
    history = good()
    react(history)
    assert check(history) == []


def edit(history: History) -> None:
    """Ann edits her first message."""
    history.attempts.append(Attempt(6, CHAT, ANN, "ann.3"))
    history.acks.append(Ack(6, CHAT, "ann.3", 4, 101))
    for reader, found in history.reads.items():
        found[0] = found[0]._replace(text="ann.3")
        found.append(Stored(4, 101, ANN, "ann.3", "ann.3"))
        history.ends[reader] = 4


def test_edited_message_passes() -> None:
    history = good()
    edit(history)
    assert check(history) == []


def test_queue_messages_need_no_order() -> None:
    history = good()
    for number, key in enumerate(("queue.2", "queue.1")):
        history.attempts.insert(0, Attempt(6, CHAT, QUEUE, key))
        history.accepted.append(Accepted(6, CHAT, key))
        for reader, found in history.reads.items():
            found.append(Stored(4 + number, 104 + number, QUEUE, key, key))
            history.ends[reader] = 4 + number
    assert check(history) == []


def test_good_history_passes() -> None:
    assert check(good()) == []


def test_unacknowledged_message_may_be_stored_or_not() -> None:
    history = good()
    history.acks.pop()
    history.attempts.append(Attempt(9, CHAT, BOB, "bob.2"))
    assert check(history) == []


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lose_the_last_message, Rule.LOST),
        (lose_it_for_one_reader, Rule.LOST),
        (move_an_acknowledged_message, Rule.LOST),
        (forget_the_chat, Rule.LOST),
        (lose_what_the_queue_took, Rule.LOST),
        (store_an_unsent_message, Rule.PHANTOM),
        (store_it_as_anothers, Rule.PHANTOM),
        (push_what_is_not_stored, Rule.PHANTOM),
        (store_it_twice, Rule.DUPLICATE),
        (skip_a_push, Rule.HOLE),
        (begin_in_the_middle, Rule.HOLE),
        (leave_a_hole_in_the_log, Rule.HOLE),
        (show_another_message_at_a_place, Rule.DISAGREEMENT),
        (turn_ann_around, Rule.ORDER),
        (leave_bob_behind, Rule.BEHIND),
        (lose_an_edit, Rule.TEXT),
        (show_what_was_deleted, Rule.TEXT),
        (lose_data_in_the_log, Rule.CONTENT),
        (lose_data_of_a_push, Rule.CONTENT),
        (reply_to_another_message, Rule.CONTENT),
        (quote_what_nobody_wrote, Rule.CONTENT),
        (lose_a_mention, Rule.CONTENT),
        (quote_what_was_deleted, Rule.CONTENT),
        (keep_data_of_a_deleted_message, Rule.CONTENT),
        (count_a_reaction_twice, Rule.REACTIONS),
        (store_a_reaction_twice, Rule.REACTIONS),
        (lose_the_count_of_a_message, Rule.REACTIONS),
        (push_other_counts, Rule.REACTIONS),
        (lose_a_reaction, Rule.LOST),
        (keep_reactions_of_a_deleted_message, Rule.REACTIONS),
        (refuse_bob, Rule.ODDITY),
    ],
)
def test_broken_guarantee_is_found(spoil: Callable[[History], None], rule: Rule) -> None:
    history = good()
    spoil(history)
    assert rule in {violation.rule for violation in check(history)}


def age(history: History, seq: int) -> None:
    """The events up to this seq are too old, and gone."""
    history.aged[CHAT] = seq
    for reader, found in history.reads.items():
        history.reads[reader] = [stored for stored in found if stored.seq > seq]


def test_what_retention_removed_is_no_loss() -> None:
    history = good()
    age(history, 2)
    history.deliveries = [d for d in history.deliveries if (d.client, d.seq) != ("bob", 2)]  # removed before he resumed
    assert check(history) == []


def test_event_that_is_not_too_old_is_lost_without_its_place() -> None:
    history = good()
    age(history, 2)
    history.aged[CHAT] = 1
    assert {violation.rule for violation in check(history)} >= {Rule.LOST, Rule.HOLE}
