"""The command `chat-gateway`: up, gateway, auth, migrate, rotate-key, webhooks, healthcheck.

Exit codes: 0 success, 1 failure, 2 invalid settings or usage. Imports are inside the commands, so that each command
loads only the modules that it needs: the supervisor of `up` does not load the gateway.
"""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, nullcontext, suppress
from typing import TYPE_CHECKING, Final

from gateway.command_line import CommandLine
from gateway.config import sources, validation
from gateway.config.settings import Settings
from gateway.config.webhooks import read_webhooks
from gateway.errors import CannotListen, CommandError, SettingsError
from gateway.server.log_sampling import Sampling
from gateway.server.startup import NoBarrier, StartupBarrier
from httpapi.docs_pages import NAME, program_version
from storage.errors import StorageUnavailable

if TYPE_CHECKING:
    from gateway.config.misspellings import Misspelling

UP_DEFAULTS: Final = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "DRAIN_DELAY_S": "0", "DRAIN_S": "2"}
MAX_REPLICAS: Final = 64
COMMANDS: Final = "up, gateway, auth, migrate, rotate-key, webhooks, healthcheck"
UP_NAME: Final = "CHAT_GATEWAY_UP"
"""The environment variable in which a script that runs `up` gives its own name, for the usage."""

Subcommand = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command: Subcommand | None = options.command
    if command is None:
        parser.error(f"a COMMAND is needed: {COMMANDS}")
    try:
        return command(options)
    except SettingsError as error:
        return _print_errors(2, *error.problems, *map(str, _misspelt()))
    except CommandError as error:
        return _print_errors(1, str(error))
    except StorageUnavailable as error:
        return _print_errors(1, f"The database of DATABASE_URL does not answer: {error}")
    except KeyboardInterrupt:
        return 130  # the shells' exit code for SIGINT


def _print_errors(code: int, *sentences: str) -> int:
    for sentence in sentences:
        sys.stderr.write(f"chat-gateway: {sentence}\n")
    return code


def _misspelt() -> "list[Misspelling]":
    from gateway.config.misspellings import misspellings

    with suppress(OSError, UnicodeDecodeError):  # an unreadable file is reported elsewhere
        return list(misspellings())
    return []


def _parser() -> CommandLine:
    parser = CommandLine(
        prog=NAME,
        description="A horizontally scaled chat gateway.",
        epilog="Settings come from flags, the environment, .env and src/.env, in this order; the README lists them.",
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {program_version()}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")

    up = commands.add_parser(
        "up", prog=os.environ.get(UP_NAME), help="start everything on this machine, for development"
    )
    up.set_defaults(command=_up)
    up.add_argument("--replicas", type=_count, default=2, metavar="N", help="gateway processes (default: 2)")
    up.add_argument("--port", metavar="P", help="the port that all replicas share (APP_PORT, default: 8000)")
    up.add_argument("--replica-ports", type=_port, metavar="FIRST", help="the replicas' own ports: FIRST, FIRST+1 …")
    up.add_argument("--host", help="the address to listen on (APP_HOST, default: 127.0.0.1)")

    gateway = commands.add_parser("gateway", help="run one node")
    gateway.set_defaults(command=_gateway)
    gateway.add_argument("--host", help="the address to listen on (APP_HOST)")
    gateway.add_argument("--port", metavar="P", help="the port (APP_PORT)")
    gateway.add_argument("--with-auth", action="store_true", help="serve the auth service's URLs too")
    gateway.add_argument(
        "--shared", action="store_true", help="let other nodes on this machine listen on the same port"
    )
    gateway.add_argument("--own-port", type=_port, metavar="P", help="listen on a second port, of this node only")
    gateway.add_argument("--gate", type=int, metavar="FD", help=argparse.SUPPRESS)

    auth = commands.add_parser("auth", help="run the auth service")
    auth.set_defaults(command=_auth)
    auth.add_argument("--host", help="the address to listen on (APP_HOST)")
    auth.add_argument("--port", metavar="P", help="the port (AUTH_PORT)")

    migrate = commands.add_parser("migrate", help="migrate the database to the current schema")
    migrate.set_defaults(command=_migrate)
    migrate.add_argument(
        "--restored",
        action="store_true",
        help="record that the database was restored from a backup: clients then reload their chats",
    )

    rotate_key = commands.add_parser("rotate-key", help="add a new signing key for tokens; users stay logged in")
    rotate_key.set_defaults(command=_rotate_key)

    webhooks = commands.add_parser("webhooks", help="show what waits for webhooks; list or replay dead letters")
    webhooks.set_defaults(command=_webhooks)
    actions = ["status", "dead-letters", "replay"]
    webhooks.add_argument("action", nargs="?", choices=actions, default="status", help="default: status")
    webhooks.add_argument("--webhook", metavar="NAME", help="dead letters of this webhook only")

    healthcheck = commands.add_parser("healthcheck", help="check whether the service on this machine is ready")
    healthcheck.set_defaults(command=_healthcheck)
    healthcheck.add_argument("part", nargs="?", choices=["gateway", "auth"], default="gateway", help="default: gateway")
    return parser


def _count(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= MAX_REPLICAS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_REPLICAS} is needed")
    return int(raw)


def _port(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 65535:
        raise argparse.ArgumentTypeError("a port from 1 to 65535 is needed")
    return int(raw)


def _flags(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _up(options: argparse.Namespace) -> int:
    from gateway.server.healthcheck import redis_trouble
    from gateway.up.data_dir import held
    from gateway.up.supervisor import Plan, Supervisor
    from gateway.up.welcome import welcome

    raw = sources.read(_flags(APP_HOST=options.host, APP_PORT=options.port), defaults=UP_DEFAULTS)
    settings = validation.parse(raw)
    validation.require_own_url(settings)
    validation.require_keys_secret(settings)
    read_webhooks(settings)
    _set_up_logging(settings, "up")
    _warn_of_misspellings()

    def greet(replica_ports: list[int]) -> None:
        sys.stdout.write(welcome(settings, replica_ports, redis_trouble(settings, replica_ports[0])))
        sys.stdout.flush()

    def greet_soon(replica_ports: list[int]) -> None:
        """Greet in a thread, because the greeting sends a blocking request to a replica."""
        asyncio.get_running_loop().run_in_executor(None, greet, replica_ports)

    plan = Plan(settings, raw, options.replicas, options.replica_ports)
    uses_data_dir = not raw.keys() & {"DATABASE_URL", "POSTGRES_HOST"}
    with held(settings.data_dir) if uses_data_dir else nullcontext():
        asyncio.run(Supervisor(plan, greet_soon).run())
    return 0


def _gateway(options: argparse.Namespace) -> int:
    from gateway.composition import new_node_id
    from gateway.server.serve import run

    settings = sources.load(_flags(APP_HOST=options.host, APP_PORT=options.port))
    node_id = new_node_id()
    sampling = _set_up_logging(settings, node_id)
    if options.gate is None:  # else `up` has warned already
        _warn_of_misspellings()
    _need_redis(settings)
    validation.require_own_url(settings)
    if options.with_auth:
        validation.require_keys_secret(settings)
    read_webhooks(settings)
    own_ports = [port for port in (options.own_port, settings.metrics_port) if port is not None]
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(_bound(settings.app_host, settings.app_port, shared=options.shared)),
            *(stack.enter_context(_bound(settings.app_host, port)) for port in own_ports),
        ]
        work = _run_gateway(settings, sockets, _gate(options.gate), node_id, sampling, with_auth=options.with_auth)
        run(work)
    return 0


def _gate(fd: int | None) -> StartupBarrier:
    if fd is None:
        return NoBarrier()
    from gateway.up.startup import SupervisedBarrier

    return SupervisedBarrier(fd)


async def _run_gateway(
    settings: Settings,
    sockets: list[socket.socket],
    gate: StartupBarrier,
    node_id: str,
    sampling: Sampling,
    *,
    with_auth: bool,
) -> None:
    from gateway.api.operator.metrics import MetricsPort
    from gateway.app import open_app
    from gateway.audit import open_audit
    from gateway.auth_mount import open_auth, open_outside, public_keys
    from gateway.metrics import Metrics
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
            )
        )
        served = MetricsPort(app, metrics.registry, settings)
        limits = InputLimits(on_slowed=metrics.clients.input_slowed.inc, on_flood=metrics.clients.floods.inc)
        await serve(served, settings, sockets, gate, drain=app.state.drain, hurry=app.state.hurry, input_limits=limits)


def _auth(options: argparse.Namespace) -> int:
    from gateway.server.serve import run

    settings = sources.load(_flags(APP_HOST=options.host, AUTH_PORT=options.port))
    sampling = _set_up_logging(settings, "auth")
    _warn_of_misspellings()
    _need_redis(settings)
    validation.require_own_url(settings)
    validation.require_keys_secret(settings)
    ports = [port for port in (settings.auth_port, settings.metrics_port) if port is not None]
    with ExitStack() as stack:
        sockets = [stack.enter_context(_bound(settings.app_host, port)) for port in ports]
        run(_run_auth(settings, sockets, sampling))
    return 0


async def _run_auth(settings: Settings, sockets: list[socket.socket], sampling: Sampling) -> None:
    from auth.app import create_app
    from gateway.api.operator.metrics import MetricsPort, MetricsRoutes
    from gateway.api.operator.probes import AuthProbeRoutes
    from gateway.audit import open_audit
    from gateway.auth_mount import open_auth, open_auth_health
    from gateway.metrics import AuditMetrics, DatabaseMetrics, ProcessMetrics, Registry
    from gateway.metrics.process import measure_loop_lag
    from gateway.server.serve import serve
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


def _migrate(options: argparse.Namespace) -> int:
    settings = sources.load()
    _set_up_logging(settings, "migrate")
    asyncio.run(_run_migrate(settings, restored=options.restored))
    return 0


async def _run_migrate(settings: Settings, *, restored: bool) -> None:
    from gateway.audit import record_command
    from httpapi.audit.events import Event
    from storage.database.database import open_database
    from storage.database.migrate import migrate
    from storage.database.store_identity import count_restore

    await migrate(settings.database_url)
    if restored:
        async with open_database(settings.database_url) as database:
            await count_restore(database)
            await record_command(settings, database, Event.STORE_RESTORED)


def _rotate_key(options: argparse.Namespace) -> int:
    settings = sources.load()
    validation.require_keys_secret(settings)
    _set_up_logging(settings, "rotate-key")
    sys.stdout.write(f"{asyncio.run(_run_rotate_key(settings))}\n")
    return 0


async def _run_rotate_key(settings: Settings) -> str:
    from gateway.audit import record_command
    from gateway.auth_mount import rotate_key
    from httpapi.audit.events import Event
    from storage.database.database import open_database

    async with open_database(settings.database_url) as database:
        kid = await rotate_key(settings, database)
        await record_command(settings, database, Event.KEY_ROTATED, kid=kid)
        return kid


def _webhooks(options: argparse.Namespace) -> int:
    settings = sources.load()
    _set_up_logging(settings, "webhooks")
    for line in asyncio.run(_run_webhooks(settings, options.action, options.webhook)):
        sys.stdout.write(f"{line}\n")
    return 0


async def _run_webhooks(settings: Settings, action: str, name: str | None) -> list[str]:
    from gateway.webhooks import command
    from storage.database.database import open_database
    from storage.outbox.queue import Outbox

    async with open_database(settings.database_url) as database:
        return await command.run(Outbox(database), action, name, [one.name for one in read_webhooks(settings)])


def _healthcheck(options: argparse.Namespace) -> int:
    from gateway.server.healthcheck import auth_answers, gateway_answers

    settings = sources.load()
    complaint = auth_answers(settings) if options.part == "auth" else gateway_answers(settings)
    if complaint is not None:
        raise CommandError(complaint)
    return 0


def _set_up_logging(settings: Settings, node: str) -> Sampling:
    from gateway.server import logs

    return logs.set_up(settings.log_format, debug=settings.debug, node=node)


def _warn_of_misspellings() -> None:
    import logging

    for one in _misspelt():
        logging.getLogger("gateway.cli").warning("misspelt_setting", extra={"fields": one._asdict()})


def _need_redis(settings: Settings) -> None:
    if not settings.redis_url:
        raise SettingsError(["REDIS_URL is not set; only `up` starts a Redis of its own."])


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    from gateway.server.serve import bind

    try:
        return bind(host, port, shared=shared)
    except OSError as error:
        raise CannotListen(f"Port {port} on {host} cannot be used: {error.strerror}.") from None


if __name__ == "__main__":
    sys.exit(main())
