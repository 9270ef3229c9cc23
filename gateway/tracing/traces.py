"""The spans of a message, from the command to its deliveries, and who is whose parent.

A command is found again by its event (chat, sender, client_msg_id), a stored event by its chat and seq. A table that is
full forgets its oldest entry, whose later spans are then not recorded.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from gateway.dialects.base import Request
from gateway.protocol.pushes import Push
from gateway.protocol.trace_context import TraceContext
from storage.records import ChatEvent, Committed, NewEvent, OnOutcome, Outcome

MAX_UNDER_WAY: Final = 1_000
MAX_RECENT: Final = 5_000
"""Stored events whose webhooks may follow; one takes some 200 bytes."""

_K = TypeVar("_K")
_V = TypeVar("_V")
_Stored = tuple[int, int]
_Submitted = tuple[int, int, str]


class _Table(Generic[_K, _V]):
    """A dict of limited size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[_K, _V] = OrderedDict()

    def put(self, key: _K, value: _V) -> None:
        self._entries[key] = value
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def get(self, key: _K) -> _V | None:
        return self._entries.get(key)

    def pop(self, key: _K) -> _V | None:
        return self._entries.pop(key, None)


class TraceRate:
    """A token bucket: at most `per_s` in a second, after a pause as many at once."""

    def __init__(self, per_s: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._now = now
        self._left = float(per_s)
        self._at = now()

    def take(self) -> bool:
        """Whether another one may begin."""
        now = self._now()
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class TracedRequest(Request, frozen=True, gc=False, eq=False, kw_only=True):
    """A command that names the span that it belongs to."""

    parent: TraceContext


class Traces:
    """Everything that is traced on a node. `on_begin` is called with whether a trace was begun, or skipped."""

    def __init__(self, tracer: Tracer, rate: TraceRate, on_begin: Callable[[bool], None]) -> None:
        self._tracer = tracer
        self._rate = rate
        self._on_begin = on_begin
        self._commands = _Table[_Submitted, Span](MAX_UNDER_WAY)
        self._due = _Table[_Stored, tuple[SpanContext, int]](MAX_UNDER_WAY)
        """Events that this node delivers: the parent of the delivery, and its start."""
        self._recent = _Table[_Stored, SpanContext](MAX_RECENT)
        self.committing: SpanContext | None = None
        """The commit whose outcome is being handled, in which its event is published."""

    # --- the beginning of a trace

    def begin(
        self, name: str, kind: SpanKind, parent: TraceContext | None, started_ns: int | None = None
    ) -> Span | None:
        """The first span of this node, below that of the client if it named one; None if it is not recorded."""
        if parent is not None and not parent.is_sampled:
            return None
        is_allowed = self._rate.take()
        self._on_begin(is_allowed)
        if not is_allowed:
            return None
        context = None if parent is None else _context(span_context(parent))
        span = self._tracer.start_span(name, context or Context(), kind, start_time=started_ns)
        return span if span.is_recording() else None

    def command_begins(self, request: Request, event: NewEvent) -> None:
        """Implement `CommandTraces.command_begins`: the span has begun when the command was decoded."""
        parent = request.parent if isinstance(request, TracedRequest) else None
        started_ns = time.time_ns() - round((time.perf_counter() - request.came_at) * 1e9)
        span = self.begin(f"command {request.name}", SpanKind.SERVER, parent, started_ns)
        if span is not None:
            span.set_attribute("chat.id", event.chat_id)
            self._commands.put(_submitted(event), span)

    # --- the commit

    def commit_begins(self, event: NewEvent, done: OnOutcome) -> OnOutcome:
        """What to call with the outcome in the place of `done`, in which the event is delivered and published."""
        command = self._commands.pop(_submitted(event))
        parent = trace.get_current_span() if command is None else command  # that of an HTTP request
        if not parent.is_recording():
            return done
        commit = self._tracer.start_span("commit", _context(parent.get_span_context()))
        commit.set_attribute("chat.id", event.chat_id)

        def traced(outcome: Outcome) -> None:
            context = commit.get_span_context()
            if isinstance(outcome, Committed):
                commit.set_attribute("chat.seq", outcome.event.seq)
                self._stored(outcome.event.chat_id, outcome.event.seq, context)
            else:
                commit.set_status(Status(StatusCode.ERROR, str(outcome)))
            commit.end()
            self.committing = context
            try:
                done(outcome)
            finally:
                self.committing = None
                if command is not None:
                    command.end()

        return traced

    def _stored(self, chat_id: int, seq: int, context: SpanContext) -> None:
        self._recent.put((chat_id, seq), context)
        self._due.put((chat_id, seq), (context, time.time_ns()))

    # --- publication and delivery

    @contextmanager
    def publishing(self, chat_id: int, parent: SpanContext) -> Iterator[TraceContext]:
        """The span of a publication; yields what travels with it."""
        with self._tracer.start_as_current_span("publish", _context(parent), SpanKind.PRODUCER) as span:
            span.set_attribute("chat.id", chat_id)
            yield trace_context(span.get_span_context())

    def received(self, chat_id: int, seq: int, context: TraceContext) -> None:
        """Another node has published an event, which is about to be delivered; this node's own come back too."""
        if self._recent.get((chat_id, seq)) is None:
            self._stored(chat_id, seq, span_context(context))

    def flushed(self, pushes: Sequence[Push], deliveries: int, size: int) -> None:
        """The pushes were written to this node's sockets: the spans of their deliveries end."""
        for push in pushes:
            due = self._due.pop((push.chat_id, push.seq)) if isinstance(push, ChatEvent) else None
            if due is not None and isinstance(push, ChatEvent):
                parent, started_ns = due
                span = self._tracer.start_span("deliver", _context(parent), SpanKind.CONSUMER, start_time=started_ns)
                span.set_attributes({"chat.id": push.chat_id, "chat.seq": push.seq, "chat.deliveries": deliveries})
                span.end()

    # --- webhooks

    @contextmanager
    def sending(self, endpoint: str, events: Sequence[_Stored]) -> Iterator[None]:
        """The span of a delivery to a webhook, below the first traced event; it links to the others."""
        found = [context for event in events if (context := self._recent.get(event)) is not None]
        if not found:
            yield
            return
        parent, *others = found
        with self._tracer.start_as_current_span(
            "webhook",
            _context(parent),
            SpanKind.CLIENT,
            {"webhook.name": endpoint, "webhook.events": len(events)},
            [trace.Link(other) for other in others],
        ):
            yield


def span_context(context: TraceContext) -> SpanContext:
    """The library's form of what has travelled."""
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=TraceFlags(context.is_sampled))


def trace_context(context: SpanContext) -> TraceContext:
    """What travels of a span."""
    return TraceContext(context.trace_id, context.span_id, context.trace_flags.sampled)


def _context(parent: SpanContext) -> Context:
    """A context with this parent and nothing else of the task that we are in."""
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def _submitted(event: NewEvent) -> _Submitted:
    return event.chat_id, event.sender.id, event.client_msg_id
