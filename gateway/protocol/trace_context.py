"""The context of a trace as it travels: W3C's `traceparent`, in headers, in commands and behind publications.

https://www.w3.org/TR/trace-context/ — version 00: `00-<trace id>-<span id>-<flags>`, in lower-case hex.
"""

import re
from typing import Final, NamedTuple

import orjson

TRACEPARENT_LENGTH: Final = 55
_TAIL: Final = TRACEPARENT_LENGTH + 2
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_END_OF_SAMPLED: Final = b'-01"]'
_BEFORE: Final = b'],"'
"""What is in front of a publication's trace: the end of the list of mentions, which `with_trace` never leaves out.

Without a trace the last field may be a text of the client's: its `client_msg_id`, which follows a boolean.
"""
_NO_CONTENT: Final[tuple[object, ...]] = (None, None, None, None, None, [])
"""The optional fields of a stored event's publication, each as an event has it that lacks it."""
_FIELDS: Final = 10
"""Those that every stored event has."""


class TraceContext(NamedTuple):
    """A span of a trace, by its ids. Only sampled ones are recorded."""

    trace_id: int
    span_id: int
    is_sampled: bool


def read_traceparent(text: object) -> TraceContext | None:
    """The context in a `traceparent`; None for anything else, which the standard says to ignore."""
    if not isinstance(text, str) or len(text) != TRACEPARENT_LENGTH:
        return None
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    return TraceContext(trace_id, span_id, bool(int(match[3], 16) & 1)) if trace_id and span_id else None


def traceparent(context: TraceContext) -> str:
    """The text of a context."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.is_sampled):02x}"


def with_trace(payload: bytes, context: TraceContext) -> bytes:
    """The publication of a stored event with a sampled context as its last field, which other readers ignore."""
    fields = orjson.loads(payload)
    missing = _NO_CONTENT[len(fields) - _FIELDS :]
    return orjson.dumps([*fields, *missing, traceparent(context)])


def trace_of(payload: bytes) -> TraceContext | None:
    """The sampled context that `with_trace` has added; None without one. Cheap for those without."""
    if not payload.endswith(_END_OF_SAMPLED) or not payload[:-_TAIL].endswith(_BEFORE):
        return None
    return read_traceparent(payload[-TRACEPARENT_LENGTH - 2 : -2].decode(errors="replace"))
