"""`traceparent`, and publications that carry one."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from gateway.protocol import publications
from gateway.protocol.trace_context import TraceContext, read_traceparent, trace_of, traceparent, with_trace
from storage.reaction_records import Reaction
from storage.records import ChatEvent, EventKind, Person, RepliedTo

TEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CONTEXT = TraceContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, True)
ANN = Person(1, "ann", "Ann", "Lee", "Ann Lee")
PLAIN = ChatEvent(7, 9, EventKind.MESSAGE, 11, ANN, "Hi", datetime(2030, 1, 1, tzinfo=UTC), False, False, "c-1")
EVENTS = [
    PLAIN,
    replace(PLAIN, data='{"a":"-01"}'),
    replace(PLAIN, kind=EventKind.EDIT, by=ANN),
    replace(PLAIN, kind=EventKind.REACTION, reactions='{"x":1}', reaction=Reaction(1, "x", False, '{"x":1}')),
    replace(PLAIN, reply_to=RepliedTo(3, None, "Before"), mentions=(1, 2)),
]


def test_context_is_read_and_written() -> None:
    assert read_traceparent(TEXT) == CONTEXT
    assert traceparent(CONTEXT) == TEXT
    unsampled = read_traceparent(TEXT[:-1] + "2")
    assert unsampled is not None and not unsampled.is_sampled


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        TEXT[:-1],
        TEXT + "0",
        TEXT.upper(),
        "01" + TEXT[2:],
        TEXT.replace("-", "_"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_invalid_context_is_none(text: object) -> None:
    assert read_traceparent(text) is None


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_publication_with_trace_is_read_as_without(event: ChatEvent) -> None:
    plain = publications.encode(event)
    assert trace_of(plain) is None
    traced = with_trace(plain, CONTEXT)
    assert trace_of(traced) == CONTEXT
    assert publications.decode(traced) == event
    assert publications.seq_of(traced) == event.seq


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
@pytest.mark.parametrize("start", ["", "x", '"', '],"', "],\\"], ids=["whole", "end", "quote", "list", "escape"])
def test_client_msg_id_like_a_context_is_none(event: ChatEvent, start: str) -> None:
    # A client that could name a trace in this way would have every node record spans beyond TRACES_PER_S.
    event = replace(event, client_msg_id=f"{start}{TEXT}", text=f'{TEXT}"]')
    assert trace_of(publications.encode(event)) is None
