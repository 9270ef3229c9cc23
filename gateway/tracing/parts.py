"""The parts of a node with traces around them; each does otherwise what the part does."""

from collections.abc import Callable, Mapping, Sequence

import orjson
from opentelemetry import trace

from gateway.dialects.base import Dialect, Request
from gateway.interfaces.broker import Broker, BrokerListener
from gateway.interfaces.chat_log import ChatLog
from gateway.interfaces.outbox import EventSender, OutsideEvent
from gateway.protocol import publications
from gateway.protocol.pushes import Push
from gateway.protocol.replies import ErrorReply
from gateway.protocol.trace_context import read_traceparent, trace_of, traceparent, with_trace
from gateway.tracing.traces import TracedRequest, Traces, trace_context
from storage.records import NewEvent, OnOutcome

OnFlush = Callable[[Sequence[Push], int, int], None]


class TracedDialect:
    """A dialect whose commands may have a `traceparent`. Implements `Dialect`."""

    def __init__(self, dialect: Dialect) -> None:
        self.name = dialect.name
        self.echo = dialect.echo
        self.push = dialect.push
        self.reply = dialect.reply
        self._decode = dialect.decode

    def decode(self, payload: bytes, is_text: bool) -> Request | ErrorReply:
        """Implement `Dialect.decode`."""
        request = self._decode(payload, is_text)
        if isinstance(request, ErrorReply) or b'"traceparent"' not in payload:
            return request
        parent = read_traceparent(orjson.loads(payload).get("traceparent"))
        if parent is None:
            return request
        same = request.command, request.name, request.chat_id, request.ref, request.came_at
        return TracedRequest(*same, parent=parent)


class TracedLog:
    """Implements `ChatLog`."""

    def __init__(self, log: ChatLog, traces: Traces) -> None:
        self._submit = log.submit
        self._traces = traces
        self.find = log.find
        self.events_after = log.events_after
        self.messages_before = log.messages_before
        self.replies_before = log.replies_before
        self.own_reactions = log.own_reactions
        self.positions = log.positions
        self.changes = log.changes
        self.epoch = log.epoch

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Implement `ChatLog.submit`."""
        self._submit(event, self._traces.commit_begins(event, done))


class TracedBroker:
    """Implements `Broker`."""

    def __init__(self, broker: Broker, traces: Traces) -> None:
        self._broker = broker
        self._traces = traces
        self.subscribe = broker.subscribe
        self.unsubscribe = broker.unsubscribe
        self.announce = broker.announce
        self.send = broker.send

    @property
    def deaf(self) -> bool:
        """Implement `Broker.deaf`."""
        return self._broker.deaf

    @property
    def refusal(self) -> str:
        """Implement `Broker.refusal`."""
        return self._broker.refusal

    @property
    def down(self) -> bool:
        """Implement `Broker.down`."""
        return self._broker.down

    def publish(self, chat_id: int, payload: bytes) -> None:
        """Implement `Broker.publish`: the publication of a traced event carries its trace."""
        parent = self._traces.committing
        if parent is None or publications.seq_of(payload) is None:
            self._broker.publish(chat_id, payload)
            return
        with self._traces.publishing(chat_id, parent) as context:
            self._broker.publish(chat_id, with_trace(payload, context))


class TracedListener:
    """Implements `BrokerListener`."""

    def __init__(self, listener: BrokerListener, traces: Traces) -> None:
        self._traces = traces
        self._on_publications = listener.on_publications
        self.on_announcements = listener.on_announcements
        self.on_interrupted = listener.on_interrupted

    def on_publications(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """Implement `BrokerListener.on_publications`."""
        for chat_id, payload in batch:
            context = trace_of(payload)
            seq = None if context is None else publications.seq_of(payload)
            if context is not None and seq is not None:
                self._traces.received(chat_id, seq, context)
        self._on_publications(batch)


class TracedSender:
    """Implements `EventSender`."""

    def __init__(self, sender: EventSender, endpoint: str, traces: Traces) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._traces = traces

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        """Implement `EventSender.send`."""
        with self._traces.sending(self._endpoint, [place for event in events if (place := _place(event)) is not None]):
            await self._sender.send(events)


def _place(event: OutsideEvent) -> tuple[int, int] | None:
    """The chat and the seq of an event of a chat's log, of which its id is made."""
    _, chat_id, seq = (*event.id.split(":"), "", "")[:3]
    return (int(chat_id), int(seq)) if chat_id.isdigit() and seq.isdigit() else None


def present_headers() -> Mapping[str, str]:
    """The `traceparent` of the present span; none if nothing is recorded."""
    span = trace.get_current_span()
    if not span.is_recording():
        return {}
    return {"traceparent": traceparent(trace_context(span.get_span_context()))}


def traced_flush(on_flush: OnFlush, traces: Traces) -> OnFlush:
    """What the hub calls after a flush."""

    def flushed(pushes: Sequence[Push], deliveries: int, size: int) -> None:
        on_flush(pushes, deliveries, size)
        traces.flushed(pushes, deliveries, size)

    return flushed
