from datetime import UTC, datetime

import orjson
import pytest
from msgspec.structs import replace

from gateway.protocol import publications
from gateway.protocol.claim import Claim
from gateway.protocol.publications import CrowdedOut, MemberRemoved, Takeover
from gateway.protocol.pushes import MemberChanged, MessagesRead, PresenceChange, Typing
from storage.reaction_records import Reaction
from storage.records import ChatEvent, EventKind, Person, RepliedTo

ANN = Person(1, "ann", "Ann", "Lee")
MESSAGE = ChatEvent(
    chat_id=7,
    seq=3,
    kind=EventKind.EDIT,
    message_id=11,
    sender=ANN,
    text="Привет 👋",
    created_at=datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC),
    is_edited=True,
    is_deleted=False,
    client_msg_id="c1",
)


@pytest.mark.parametrize(
    "publication",
    [
        MESSAGE,
        replace(MESSAGE, kind=EventKind.MESSAGE, is_edited=False),
        replace(MESSAGE, kind=EventKind.DELETE, text="", is_deleted=True),
        replace(MESSAGE, text="", data='{"a":[1,null]}'),
        replace(MESSAGE, reactions='{"👍": 1}'),
        replace(MESSAGE, kind=EventKind.REACTION, reaction=Reaction(2, "👍", removed=True, counts="{}")),
        replace(
            MESSAGE, kind=EventKind.REACTION, reactions='{"x": 2}', reaction=Reaction(2, "x", False, counts='{"x": 1}')
        ),
        replace(MESSAGE, reply_to=RepliedTo(10, ANN, "Hi"), mentions=(1, 2)),
        replace(MESSAGE, reply_to=RepliedTo(10, None, "")),
        replace(MESSAGE, mentions=(1,)),
        Typing(7, ANN, is_typing=True),
        MessagesRead(7, ANN, 3),
        PresenceChange(7, 1, "ann", "leave", 4, "Ann"),
        Takeover(7, 1, Claim.settled(1700000000000000), "abc"),
        CrowdedOut(7, -(2**63), Claim.settled(1700000000000000)),
        MemberChanged(7, 1, "reader", 1700000000),
        MemberRemoved(7, 1),
    ],
    ids=lambda publication: getattr(publication, "kind", type(publication).__name__),
)
def test_publication_survives_encoding(publication):
    assert publications.decode(publications.encode(publication)) == publication


def test_plain_message_is_encoded_as_before():
    assert len(orjson.loads(publications.encode(MESSAGE))) == 10


def test_presence_of_earlier_version_has_no_display_name():
    assert publications.decode(b'["presence",7,1,"ann","join",4]') == PresenceChange(7, 1, "ann", "join", 4)


@pytest.mark.parametrize("count", range(11, 16))
def test_message_of_earlier_version_lacks_the_last_fields(count: int) -> None:
    whole = replace(
        MESSAGE,
        data="{}",
        by=Person(2, "bob", "", ""),
        reactions='{"x": 2}',
        reaction=Reaction(2, "x", False, counts='{"x": 1}'),
        reply_to=RepliedTo(10, ANN, "Hi"),
        mentions=(1, 2),
    )
    fields = orjson.loads(publications.encode(whole))
    assert len(fields) == 16
    defaults = {"by": None, "reactions": None, "reaction": None, "reply_to": None, "mentions": ()}
    missing = dict(list(defaults.items())[count - 11 :])
    assert publications.decode(orjson.dumps(fields[:count])) == replace(whole, **missing)


def test_kind_of_later_version_is_skipped():
    assert publications.decode(b'["sticker",7,1]') is None


def test_fields_appended_by_later_version_are_ignored():
    assert publications.decode(b'["removed",7,1,"later"]') == MemberRemoved(7, 1)


@pytest.mark.parametrize("payload", [b"", b"x", b"5", b"[]", b"{}", b'["message",7]', b'["typing",7,5,true]', b"\xff"])
def test_invalid_publication_is_a_value_error(payload):
    with pytest.raises(ValueError, match=r".+"):
        publications.decode(payload)


@pytest.mark.parametrize("kind", EventKind)
def test_seq_of_stored_event_is_read_without_decoding(kind: EventKind) -> None:
    assert publications.seq_of(publications.encode(replace(MESSAGE, kind=kind, text=',"]'))) == 3


@pytest.mark.parametrize(
    "payload",
    [
        publications.encode(PresenceChange(7, 1, "ann", "leave", 4)),
        publications.encode(MessagesRead(7, ANN, 3)),
        b"",
        b'["message",7]',
        b'["message",7,"3",1]',
        b'["message",7,,1]',
    ],
)
def test_payload_of_other_kind_has_no_seq(payload: bytes) -> None:
    assert publications.seq_of(payload) is None
