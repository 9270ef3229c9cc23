"""`chat-gateway gateway`: one node."""

import argparse
import socket
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

from gateway.commands.command import Commands, add_command, port
from gateway.commands.process import bound, flags, need_redis, set_up_logging, warn_of_misspellings

if TYPE_CHECKING:
    from gateway.api.operator.up import Controls
    from gateway.config.settings import Settings
    from gateway.server.log_sampling import Sampling
    from gateway.server.startup import StartupBarrier


def add(commands: Commands) -> None:
    """Add the command."""
    gateway = add_command(
        commands,
        "gateway",
        "run one node",
        _run,
        examples=[
            "chat-gateway gateway",
            "chat-gateway gateway --with-auth --port 8000   # the auth service in the same process",
        ],
    )
    gateway.add_argument("--host", help="the address to listen on (APP_HOST)")
    gateway.add_argument("--port", metavar="P", help="the port (APP_PORT)")
    gateway.add_argument("--with-auth", action="store_true", help="serve the auth service's URLs too")
    gateway.add_argument(
        "--shared", action="store_true", help="let other nodes on this machine listen on the same port"
    )
    gateway.add_argument("--own-port", type=port, metavar="P", help="listen on a second port, of this node only")
    gateway.add_argument("--gate", type=int, metavar="FD", help=argparse.SUPPRESS)


def _run(options: argparse.Namespace) -> int:
    from gateway.composition import new_node_id
    from gateway.config import sources, validation
    from gateway.config.webhooks import read_webhooks
    from gateway.server.serve import run

    settings = sources.load(flags(APP_HOST=options.host, APP_PORT=options.port))
    node_id = new_node_id()
    sampling = set_up_logging(settings, node_id)
    if options.gate is None:  # else `up` has warned already
        warn_of_misspellings()
    need_redis(settings)
    validation.require_own_url(settings)
    if options.with_auth:
        validation.require_keys_secret(settings)
    read_webhooks(settings)
    own_ports = [own for own in (options.own_port, settings.metrics_port) if own is not None]
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(bound(settings.app_host, settings.app_port, shared=options.shared)),
            *(stack.enter_context(bound(settings.app_host, own)) for own in own_ports),
        ]
        gate, controls = _supervised(options.gate)
        run(_serve(settings, sockets, gate, node_id, sampling, controls, with_auth=options.with_auth))
    return 0


def _supervised(fd: int | None) -> "tuple[StartupBarrier, Controls | None]":
    """The startup barrier and, under `up`, what operators may ask of its supervisor."""
    if fd is None:
        from gateway.server.startup import NoBarrier

        return NoBarrier(), None
    from gateway.up.startup import SupervisedBarrier

    link = SupervisedBarrier(fd)
    return link, link


async def _serve(
    settings: "Settings",
    sockets: list[socket.socket],
    gate: "StartupBarrier",
    node_id: str,
    sampling: "Sampling",
    controls: "Controls | None",
    *,
    with_auth: bool,
) -> None:
    from gateway.api.operator.metrics import MetricsPort
    from gateway.app import open_app
    from gateway.audit import open_audit
    from gateway.auth_mount import open_auth, open_outside, public_keys
    from gateway.metrics import Metrics
    from gateway.server.huge_pages import HugePages
    from gateway.server.serve import serve
    from gateway.tasks import Tasks
    from gateway.transport.server_queues import InputLimits
    from storage.database.database import open_database

    metrics = Metrics()
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        sampling.on_dropped = metrics.process.log_line_dropped
        tasks.spawn(sampling.summarize(), "log summary")
        tasks.spawn(HugePages().keep(), "huge pages")
        database = await stack.enter_async_context(open_database(settings.database_url, metrics.database.waited))
        audit = await stack.enter_async_context(open_audit(settings, database, metrics.audit, node_id))
        auth = await stack.enter_async_context(open_auth(settings, database, metrics.registry)) if with_auth else None
        app = await stack.enter_async_context(
            open_app(
                settings,
                database,
                public_keys(settings, database),
                node_id=node_id,
                gate=gate,
                metrics=metrics,
                audit=audit,
                auth_routes=[] if auth is None else auth.routes(),
                outside=await stack.enter_async_context(open_outside(settings)),
                controls=controls,
            )
        )
        served = MetricsPort(app, metrics.registry, settings)
        limits = InputLimits(on_slowed=metrics.clients.input_slowed.inc, on_flood=metrics.clients.floods.inc)
        await serve(served, settings, sockets, gate, drain=app.state.drain, hurry=app.state.hurry, input_limits=limits)
