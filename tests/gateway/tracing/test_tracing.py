"""Tracing inside a process: what is bounded, and what happens without the library."""

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from gateway.dialects.base import Request
from gateway.dialects.native import NativeDialect
from gateway.errors import SettingsError
from gateway.protocol.commands import SendMessage
from gateway.tracing.parts import TracedDialect
from gateway.tracing.traces import MAX_RECENT, MAX_UNDER_WAY, TracedRequest, TraceRate, Traces
from gateway.tracing.tracing import Tracing, open_tracing
from storage.records import EventKind, NewEvent, Person, Refusal

TEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _traces(per_s: int) -> tuple[Traces, InMemorySpanExporter, list[bool]]:
    exporter, begun = InMemorySpanExporter(), list[bool]()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traces(provider.get_tracer("test"), TraceRate(per_s), begun.append), exporter, begun


def test_rate_fills_again_and_no_further() -> None:
    now = 100.0
    rate = TraceRate(3, now=lambda: now)
    assert [rate.take() for _ in range(5)] == [True, True, True, False, False]
    now += 0.34
    assert [rate.take() for _ in range(2)] == [True, False]
    now += 3600
    assert [rate.take() for _ in range(5)] == [True, True, True, False, False]


def test_traces_beyond_rate_are_counted_and_not_begun() -> None:
    traces, exporter, begun = _traces(2)
    spans = [traces.begin("x", SpanKind.SERVER, None) for _ in range(4)]
    assert begun == [True, True, False, False]
    assert [span is not None for span in spans] == begun
    for span in spans:
        if span is not None:
            span.end()
    assert len(exporter.get_finished_spans()) == 2


def test_rejected_commit_ends_its_command_with_error() -> None:
    traces, exporter, _ = _traces(10)
    event = NewEvent(1, Person(1, "ann"), "c-1", EventKind.MESSAGE, "Hi")
    traces.command_begins(Request(SendMessage("Hi", "c-1"), "message", 1), event)
    outcomes: list[object] = []
    traces.commit_begins(event, outcomes.append)(Refusal.UNAVAILABLE)
    assert outcomes == [Refusal.UNAVAILABLE]
    commit, command = exporter.get_finished_spans()
    assert (commit.name, commit.status.description, command.name) == ("commit", "unavailable", "command message")
    assert commit.parent is not None and command.context is not None
    assert commit.parent.span_id == command.context.span_id
    assert traces.committing is None


def test_commands_that_never_end_are_forgotten() -> None:
    traces, exporter, _ = _traces(10 * MAX_RECENT)
    request = Request(SendMessage("Hi", None), "message", 1)
    for number in range(MAX_UNDER_WAY + 10):
        event = NewEvent(1, Person(1, "ann"), str(number), EventKind.MESSAGE, "Hi")
        traces.command_begins(request, event)
    assert len(traces._commands._entries) == MAX_UNDER_WAY
    first = NewEvent(1, Person(1, "ann"), "0", EventKind.MESSAGE, "Hi")

    def done(_: object) -> None:
        """The outcome."""

    assert traces.commit_begins(first, done) is done
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("value", [f'"{TEXT}"', '"00-x"', "7", "null", "{}"])
def test_command_with_traceparent_is_the_same_command(value: str) -> None:
    dialect = NativeDialect()
    payload = f'{{"type":"message","chat_id":1,"text":"Hi","traceparent":{value}}}'.encode()
    plain, traced = dialect.decode(payload, True), TracedDialect(dialect).decode(payload, True)
    assert isinstance(plain, Request) and isinstance(traced, Request)
    assert (traced.command, traced.name, traced.chat_id) == (plain.command, plain.name, plain.chat_id)
    assert isinstance(traced, TracedRequest) == (value == f'"{TEXT}"')


async def test_missing_library_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="TRACES_PER_S needs the extra `traces`"):
        async with open_tracing(1, "node"):
            pass


async def test_unreachable_collector_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    async with open_tracing(10, "node") as tracing:
        assert tracing.traces is not None
        span = tracing.traces.begin("x", SpanKind.SERVER, None)
        assert span is not None
        span.end()


async def test_nothing_is_put_around_parts_while_off() -> None:
    async with open_tracing(0, "node") as tracing:
        dialect = NativeDialect()
        assert tracing.dialect(dialect) is dialect
        assert tracing.headers() == {}
        assert tracing.traces is None
    assert Tracing().on_flush(print) is print
