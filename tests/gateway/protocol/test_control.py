"""The announcements that nodes send each other over Redis."""

import orjson
import pytest

from gateway.protocol.control import (
    Activity,
    ChatsChanged,
    ChatsRemoved,
    ControlMessage,
    DirectToClient,
    DirectToUser,
    MembersChanged,
    PositionsMoved,
    PresenceChanged,
    RevocationsAdded,
    UserDisconnected,
    decode,
    encode,
)


@pytest.mark.parametrize(
    "announcement",
    [
        Activity("node-a", [(1, 2), (3, 4)]),
        MembersChanged(5, [1, 2], removed=False),
        MembersChanged(5, [1], removed=True),
        ChatsChanged([5, 6]),
        ChatsRemoved([5, 6]),
        PositionsMoved("node-a", [(5, 1), (6, 2)]),
        PresenceChanged([1, 2]),
        DirectToUser(7, b'{"a":\n[1, 2]}'),
        DirectToClient("a\nb/\x00я", 7, b"null"),
        DirectToClient("a", None, b"null"),
        RevocationsAdded(),
        UserDisconnected(7, "a\nb", None, reconnect=True),
        UserDisconnected(7, None, 5, reconnect=False),
    ],
)
def test_announcement_survives_encoding(announcement: ControlMessage) -> None:
    payload = encode(announcement)
    assert payload, "an empty payload is the broker's probe"
    assert decode(payload) == announcement


def test_added_fields_and_unknown_kinds_are_ignored() -> None:
    assert decode(orjson.dumps(["members", 5, [1], True, "of a later version"])) == MembersChanged(5, [1], True)
    assert decode(orjson.dumps(["of a later version", 5])) is None


def test_push_to_client_without_owner_is_ignored() -> None:
    assert decode(b'["client","a"]\n1') is None


@pytest.mark.parametrize(
    "payload",
    [
        b"x",
        b"[]",
        b"{}",
        b"5",
        b'["activity"]',
        b'["activity","n",[5]]',
        b'["user"]',
        b'["read","n",[5]]',
        b'["chats",[[]]]',
        b'["removed",5]',
    ],
)
def test_foreign_payload_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(payload)
