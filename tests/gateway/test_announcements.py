"""What nodes tell each other, as it crosses Redis."""

import orjson
import pytest

from gateway.announcements import (
    Activity,
    Announcement,
    DirectToClient,
    DirectToUser,
    MembersChanged,
    decode,
    encode,
)


@pytest.mark.parametrize(
    "announcement",
    [
        Activity("node-a", [(1, 2), (3, 4)]),
        MembersChanged(5, [1, 2], removed=False),
        MembersChanged(5, [1], removed=True),
        DirectToUser(7, b'{"a":\n[1, 2]}'),
        DirectToClient("a\nb/\x00я", b"null"),
    ],
)
def test_what_is_said_is_heard(announcement: Announcement) -> None:
    payload = encode(announcement)
    assert payload, "an empty payload is the broker's probe"
    assert decode(payload) == announcement


def test_fields_may_be_added_and_unknown_kinds_are_skipped() -> None:
    assert decode(orjson.dumps(["members", 5, [1], True, "of a later version"])) == MembersChanged(5, [1], True)
    assert decode(orjson.dumps(["of a later version", 5])) is None


@pytest.mark.parametrize("payload", [b"x", b"[]", b"{}", b"5", b'["activity"]', b'["activity","n",[5]]', b'["user"]'])
def test_what_is_none_of_ours_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(payload)
