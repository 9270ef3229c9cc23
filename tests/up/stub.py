"""A stand-in for the gateway, so that the supervisor is tested by itself: `python -m tests.up.stub [up options]`.

Each replica says on `/` its pid and whether its gate is open. STUB_LATE_PORT names the one (by its own port) that
listens only once the file STUB_LATE_FILE exists; STUB_FAILS makes all of them give up; STUB_START_S is how long a
start may take.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway import cli
from gateway.config.sources import load
from gateway.server.serve import bind, run, serve
from gateway.server.startup import StartupBarrier
from gateway.up import replica, supervisor
from gateway.up.startup import SupervisedBarrier


def replica_command(own_port: int, gate_fd: int) -> Sequence[str]:
    """This module, as a replica."""
    return [sys.executable, "-m", "tests.up.stub", "replica", str(own_port), str(gate_fd)]


def create_app(gate: StartupBarrier) -> Starlette:
    """Says who it is."""

    async def who(_: Request) -> JSONResponse:
        return JSONResponse({"pid": os.getpid(), "open": gate.is_open, "redis": os.environ["REDIS_URL"]})

    return Starlette(routes=[Route("/", who)])


async def be_replica(own_port: int, gate_fd: int) -> None:
    """Serve until stopped."""
    if "STUB_FAILS" in os.environ:
        sys.exit(7)
    settings = load()
    gate = SupervisedBarrier(gate_fd)
    sockets = [bind(settings.app_host, settings.app_port, shared=True), bind(settings.app_host, own_port)]
    while os.environ.get("STUB_LATE_PORT") == str(own_port) and not Path(os.environ["STUB_LATE_FILE"]).exists():
        await asyncio.sleep(0.01)
    hurried = asyncio.Event()

    async def drain() -> None:
        try:
            await asyncio.wait_for(hurried.wait(), float(os.environ.get("STUB_DRAIN_S", "0")))
        except TimeoutError:
            sys.stderr.write("replica_drained\n")

    await serve(create_app(gate), settings, sockets, gate, drain=drain, hurry=hurried.set, websockets="none")


if __name__ == "__main__":
    if sys.argv[1] == "replica":
        run(be_replica(int(sys.argv[2]), int(sys.argv[3])))
    else:
        replica.START_S = float(os.environ.get("STUB_START_S", "30"))  # type: ignore[misc]
        plan = partial(supervisor.Plan, command=replica_command, migrate=["true"])
        supervisor.Plan = plan  # type: ignore[misc, assignment]
        sys.exit(cli.main(sys.argv[1:]))
