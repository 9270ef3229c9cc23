"""A collector of OpenTelemetry's protocol over HTTP: keeps the spans that nodes export, and shows them as trees."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class CollectedSpan:
    """A span; `service` and `node` are of the process that exported it."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    node: str
    start_ns: int
    end_ns: int
    attributes: dict[str, str | int]
    links: tuple[str, ...]


class Collector:
    """`url` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._spans: list[CollectedSpan] = []

    @property
    def spans(self) -> list[CollectedSpan]:
        """Everything so far."""
        return list(self._spans)

    def of(self, trace_id: str) -> list[CollectedSpan]:
        """The spans of a trace."""
        return [span for span in self._spans if span.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {one.key: one.value.string_value for one in group.resource.attributes}
            for scope in group.scope_spans:
                for span in scope.spans:
                    self._spans.append(
                        CollectedSpan(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            resource["service.name"],
                            resource["service.instance.id"],
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            {one.key: one.value.string_value or one.value.int_value for one in span.attributes},
                            tuple(link.span_id.hex() for link in span.links),
                        )
                    )

    def tree(self, trace_id: str) -> list[str]:
        """A trace as lines: names indented below their parents, with start, duration and node."""
        spans = sorted(self.of(trace_id), key=lambda span: (span.start_ns, span.span_id))
        known = {span.span_id for span in spans}
        start_ns = spans[0].start_ns

        def below(parent_id: str | None, depth: int) -> Iterator[str]:
            for span in spans:
                is_root = span.parent_id not in known
                if is_root if parent_id is None else span.parent_id == parent_id:
                    name = f"{'  ' * depth}{span.name}"
                    begins_ms, took_ms = (span.start_ns - start_ns) / 1e6, (span.end_ns - span.start_ns) / 1e6
                    yield f"{name:<28}{begins_ms:>8.1f} ms {took_ms:>8.1f} ms  {span.node}"
                    yield from below(span.span_id, depth + 1)

        return list(below(None, 0))


@contextmanager
def run_collector() -> Iterator[Collector]:
    """A collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
