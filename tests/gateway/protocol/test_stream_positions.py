"""The position of a stream in its chats."""

import pytest

from gateway.protocol.ids import MAX_ID, UNREADABLE, Since
from gateway.protocol.stream_positions import MAX_CHATS, MAX_LENGTH, StreamPositions, read_positions


def test_position_is_read_as_it_was_written() -> None:
    positions = StreamPositions({1: Since(3, "e1"), 2: Since(9, "e1")})
    positions.start(1, 7, "e1")
    assert positions.id == "e1:2-9.1-3"  # with the chat that has not begun yet
    positions.start(2, 9, "e1")
    positions.start(255, 16, "e1")  # which had no position: the stream begins with the next event
    positions.move(1, 4)
    assert read_positions(positions.id) == {2: Since(9, "e1"), 1: Since(4, "e1"), 255: Since(16, "e1")}


def test_stream_without_chats_has_no_position() -> None:
    position = StreamPositions({}).id
    assert (position, read_positions(position)) == (":", None)


def test_position_of_unknown_history_takes_that_of_stream() -> None:
    positions = StreamPositions({1: Since(3)})
    positions.start(1, 7, "e1")
    assert positions.id == "e1:1-3"


def test_chat_of_earlier_epoch_has_no_position() -> None:
    positions = StreamPositions({1: Since(3, "e1"), 2: Since(5, "e1")})
    positions.start(1, 7, "e1")
    positions.start(2, 8, "e2")
    assert read_positions(positions.id) == {1: UNREADABLE, 2: UNREADABLE}
    positions.reset(2, 8, "e2")
    assert read_positions(positions.id) == {1: UNREADABLE, 2: Since(8, "e2")}
    positions.reset(1, 2, "e2")
    positions.move(1, 3)
    assert read_positions(positions.id) == {1: Since(3, "e2"), 2: Since(8, "e2")}


def test_chat_not_begun_in_earlier_epoch_has_no_position() -> None:
    positions = StreamPositions({1: Since(3, "e2"), 2: Since(5, "e1")})
    positions.start(1, 7, "e2")
    assert read_positions(positions.id) == {1: Since(3, "e2"), 2: UNREADABLE}


def test_longest_position_fits_the_limit() -> None:
    positions = StreamPositions({})
    for chat_id in range(MAX_ID - MAX_CHATS + 1, MAX_ID + 1):
        positions.start(chat_id, MAX_ID, "0123456789ab")
    assert len(positions.id) <= 7000 < MAX_LENGTH
    read = read_positions(positions.id)
    assert read is not None and len(read) == MAX_CHATS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e1",
        "e1:",
        "e1:1",
        "e1:1-2.",
        "e1:-2",
        "e1:0-1",
        "e1:1-2.x-1",
        "e1:1 -2",
        "e1:١-2",
        "e1:1-" + "f" * 16,
        "e1:" + "f" * 16 + "-1",
        "e1:1-" + "1" * 17,
        "e1:" + ".".join(["1-1"] * (MAX_CHATS + 1)),
        "e" * MAX_LENGTH + ":1-1",
    ],
)
def test_malformed_position_is_none(text: str) -> None:
    assert read_positions(text) is None
