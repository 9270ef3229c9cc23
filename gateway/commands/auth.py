"""`chat-gateway auth`: the auth service."""

import argparse
import socket
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

from gateway.commands.command import Commands, add_command
from gateway.commands.process import bound, flags, need_redis, set_up_logging, warn_of_misspellings

if TYPE_CHECKING:
    from gateway.config.settings import Settings
    from gateway.server.log_sampling import Sampling


def add(commands: Commands) -> None:
    """Add the command."""
    auth = add_command(commands, "auth", "run the auth service", _run, examples=["chat-gateway auth --port 8001"])
    auth.add_argument("--host", help="the address to listen on (APP_HOST)")
    auth.add_argument("--port", metavar="P", help="the port (AUTH_PORT)")


def _run(options: argparse.Namespace) -> int:
    from gateway.config import sources, validation
    from gateway.server.serve import run

    settings = sources.load(flags(APP_HOST=options.host, AUTH_PORT=options.port))
    sampling = set_up_logging(settings, "auth")
    warn_of_misspellings()
    need_redis(settings)
    validation.require_own_url(settings)
    validation.require_keys_secret(settings)
    ports = [port for port in (settings.auth_port, settings.metrics_port) if port is not None]
    with ExitStack() as stack:
        sockets = [stack.enter_context(bound(settings.app_host, port)) for port in ports]
        run(_serve(settings, sockets, sampling))
    return 0


async def _serve(settings: "Settings", sockets: list[socket.socket], sampling: "Sampling") -> None:
    from auth.app import create_app
    from gateway.api.operator.metrics import MetricsPort, MetricsRoutes
    from gateway.api.operator.probes import AuthProbeRoutes
    from gateway.audit import open_audit
    from gateway.auth_mount import open_auth, open_auth_health
    from gateway.metrics import AuditMetrics, DatabaseMetrics, ProcessMetrics, Registry
    from gateway.metrics.process import measure_loop_lag
    from gateway.server.serve import serve
    from gateway.server.startup import NoBarrier
    from gateway.tasks import Tasks
    from storage.database.database import open_database

    registry = Registry()
    process = ProcessMetrics(registry)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url, DatabaseMetrics(registry).waited)
        )
        node = f"auth-{socket.gethostname()}"
        audit = await stack.enter_async_context(open_audit(settings, database, AuditMetrics(registry), node))
        auth = await stack.enter_async_context(open_auth(settings, database, registry))
        health = await stack.enter_async_context(open_auth_health(settings, database))
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        tasks.spawn(measure_loop_lag(process.loop_lag), "loop lag")
        sampling.on_dropped = process.log_line_dropped
        tasks.spawn(sampling.summarize(), "log summary")
        other_routes = [*AuthProbeRoutes(health).routes(), *MetricsRoutes(registry, settings).routes()]
        app = create_app(auth, other_routes, audit=audit, is_production=settings.is_production)
        served = MetricsPort(app, registry, settings)
        await serve(served, settings, sockets, NoBarrier(), websockets="none")
