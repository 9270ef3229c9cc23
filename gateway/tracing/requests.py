"""ASGI middleware: a span for each HTTP request, and for each handshake until it is accepted or rejected."""

from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.protocol.trace_context import TraceContext, read_traceparent
from gateway.tracing.traces import Traces
from httpapi.audit.middleware import operation_of

_UNTRACED: Final = frozenset({"/livez", "/readyz", "/metrics"})
_HEADER: Final = b"traceparent"
_ENDS_HANDSHAKE: Final = frozenset(
    {"websocket.accept", "websocket.close", "websocket.http.response.start", "http.response.start"}
)
_EVENT_STREAMS: Final = "/sse/"
"""Their responses last as long as a socket: the span ends when the response begins."""


class TracedRequests:
    """The span of an HTTP request is the parent of what the request causes; a command of a socket begins a trace."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or handshake."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        is_handshake = kind == "websocket" or scope["path"].startswith(_EVENT_STREAMS)
        span = self._traces.begin("handshake" if is_handshake else "request", SpanKind.SERVER, _parent(scope))
        if span is None:
            await self._app(scope, receive, send)
        elif is_handshake:
            await self._handshake(span, scope, receive, send)
        else:
            await self._request(span, scope, receive, send)

    async def _request(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_status(span, message["status"])
            await send(message)

        with trace.use_span(span, end_on_exit=True):
            try:
                await self._app(scope, receive, send_and_note)
            finally:
                span.update_name(operation_of(scope))

    async def _handshake(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_end(message: Message) -> None:
            await send(message)
            if message["type"] in _ENDS_HANDSHAKE and span.is_recording():
                _note_status(span, message.get("status", 101 if message["type"] == "websocket.accept" else 403))
                span.update_name(f"handshake {operation_of(scope).partition(' ')[2]}")
                span.end()

        try:
            await self._app(scope, receive, send_and_end)
        finally:
            if span.is_recording():  # the client is gone
                span.end()


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def _parent(scope: Scope) -> TraceContext | None:
    values = [value for name, value in scope["headers"] if name == _HEADER]
    return read_traceparent(values[0].decode("latin-1")) if len(values) == 1 else None
