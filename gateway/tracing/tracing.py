"""Tracing of a node, on or off: others import only this file, which imports the library if it is on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gateway.dialects.base import Dialect
from gateway.errors import SettingsError
from gateway.interfaces.broker import Broker, BrokerListener
from gateway.interfaces.chat_log import ChatLog
from gateway.interfaces.outbox import EventSender
from httpapi.docs_pages import NAME, program_version

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    from gateway.tracing.parts import OnFlush
    from gateway.tracing.traces import Traces

CLOSE_S: Final = 3.0
"""How long closing waits for the last spans to be sent."""


class Tracing:
    """Puts traces around the parts of a node; without `traces` it returns each part as it is."""

    def __init__(self, traces: "Traces | None" = None) -> None:
        self.traces = traces

    def log(self, log: ChatLog) -> ChatLog:
        """For the use cases, which submit events."""
        if self.traces is None:
            return log
        from gateway.tracing.parts import TracedLog

        return TracedLog(log, self.traces)

    def broker(self, broker: Broker) -> Broker:
        """For the use cases, which publish events."""
        if self.traces is None:
            return broker
        from gateway.tracing.parts import TracedBroker

        return TracedBroker(broker, self.traces)

    def listener(self, listener: BrokerListener) -> BrokerListener:
        """For what other nodes publish."""
        if self.traces is None:
            return listener
        from gateway.tracing.parts import TracedListener

        return TracedListener(listener, self.traces)

    def on_flush(self, on_flush: "OnFlush") -> "OnFlush":
        """For what the hub has written."""
        if self.traces is None:
            return on_flush
        from gateway.tracing.parts import traced_flush

        return traced_flush(on_flush, self.traces)

    def dialect(self, dialect: Dialect) -> Dialect:
        """For commands with a `traceparent`."""
        if self.traces is None:
            return dialect
        from gateway.tracing.parts import TracedDialect

        return TracedDialect(dialect)

    def sender(self, sender: EventSender, endpoint: str) -> EventSender:
        """For a webhook."""
        if self.traces is None:
            return sender
        from gateway.tracing.parts import TracedSender

        return TracedSender(sender, endpoint, self.traces)

    def headers(self) -> Mapping[str, str]:
        """Those of a request that is sent now: the `traceparent` of the present span, if there is one."""
        if self.traces is None:
            return {}
        from gateway.tracing.parts import present_headers

        return present_headers()


@asynccontextmanager
async def open_tracing(
    per_s: int,
    node_id: str,
    on_begin: Callable[[bool], None] = lambda _: None,
    processor: "SpanProcessor | None" = None,
) -> AsyncIterator[Tracing]:
    """At most `per_s` traces in a second; with 0 tracing is off. `processor` takes the spans, by default an exporter.

    The library's own variables (OTEL_…) say where spans are sent, and which traces are sampled.
    Raises: SettingsError without the library.
    """
    if per_s == 0:
        yield Tracing()
        return
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider

        from gateway.tracing.traces import TraceRate, Traces

        processor = processor or _exporting()
    except ImportError:
        needed = "TRACES_PER_S needs the extra `traces`: pip install 'chat-gateway[traces]' (docs/traces.md)."
        raise SettingsError([needed]) from None
    own = {"service.name": NAME, "service.version": program_version(), "service.instance.id": node_id}
    resource = Resource.create(own).merge(OTELResourceDetector().detect())  # the operator's variables come first
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    try:
        yield Tracing(Traces(provider.get_tracer(NAME), TraceRate(per_s), on_begin))
    finally:
        await _close(provider)


def _exporting() -> "SpanProcessor":
    """Sends spans in batches from a thread of its own; its queue is bounded (OTEL_BSP_MAX_QUEUE_SIZE, 2,048)."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


async def _close(provider: "TracerProvider") -> None:
    """In a thread that does not keep the process from ending, because the library may wait for its server."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        provider.shutdown()
        try:
            loop.call_soon_threadsafe(closed.set)
        except RuntimeError:
            return  # the loop was closed: CLOSE_S were over

    threading.Thread(target=close, name="traces", daemon=True).start()
    try:
        async with asyncio.timeout(CLOSE_S):
            await closed.wait()
    except TimeoutError:
        return
