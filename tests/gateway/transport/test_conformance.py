"""RFC 6455, case by case, through Starlette's WebSocket and through the direct connection."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.gateway.transport.conformance import CASES, LENIENT, Case, run, run_lenient
from tests.support.transport_server import LaneApp, echo, running, starlette_echo


@dataclass
class EchoServer:
    """Where it listens, and whether it answers within the read that brought the message."""

    port: int
    at_once: bool


@pytest.fixture(params=["lane", "starlette"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[EchoServer]:
    """An echo server of either kind."""
    at_once = request.param == "lane"
    async with running(LaneApp(echo) if at_once else starlette_echo) as server:
        yield EchoServer(server.port, at_once)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_conforms_to_rfc_6455(case: Case, server: EchoServer, caplog: pytest.LogCaptureFixture) -> None:
    await run(case, server.port, at_once=server.at_once)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.parametrize("case", LENIENT, ids=lambda case: case.name)
async def test_lenient_case_is_accepted_or_rejected(case: Case, server: EchoServer) -> None:
    await run_lenient(case, server.port)
