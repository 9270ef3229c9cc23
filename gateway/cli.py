"""The command `chat-gateway`: up, gateway, auth, migrate, rotate-key, healthcheck.

Exit codes: 0 done, 1 could not, 2 wrong settings or usage. Imports are inside the commands, so that each of them
loads only what it needs: the supervisor of `up` is no gateway.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

from gateway import settings as configuration
from gateway.gate import Gate, OwnGate
from gateway.settings import Settings, SettingsError
from storage.errors import StorageUnavailable

UP_DEFAULTS: Final = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "DRAIN_DELAY_S": "0", "DRAIN_S": "2"}
MAX_REPLICAS: Final = 64

Command = Callable[[argparse.Namespace], int]


class Refused(Exception):
    """A sentence for whoever typed the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except SettingsError as error:
        return _complain(2, *error.problems)
    except Refused as error:
        return _complain(1, str(error))
    except StorageUnavailable as error:
        return _complain(1, f"The database of DATABASE_URL does not answer: {error}")
    except KeyboardInterrupt:
        return 130  # as a shell says "ended by SIGINT"


def _complain(code: int, *sentences: str) -> int:
    for sentence in sentences:
        sys.stderr.write(f"chat-gateway: {sentence}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chat-gateway",
        description="A horizontally scaled chat gateway.",
        epilog="Settings come from flags, the environment, .env and src/.env, in this order; the README lists them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start everything on this machine, for development")
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
    gateway.add_argument("--own-port", type=_port, metavar="P", help="listen on a second port, this node's alone")
    gateway.add_argument("--gate", type=int, metavar="FD", help=argparse.SUPPRESS)

    auth = commands.add_parser("auth", help="run the auth service")
    auth.set_defaults(command=_auth)
    auth.add_argument("--host", help="the address to listen on (APP_HOST)")
    auth.add_argument("--port", metavar="P", help="the port (AUTH_PORT)")

    migrate = commands.add_parser("migrate", help="bring the database to the newest schema")
    migrate.set_defaults(command=_migrate)
    migrate.add_argument(
        "--restored",
        action="store_true",
        help="say that the database was restored from a backup: clients reload what they have",
    )

    rotate_key = commands.add_parser("rotate-key", help="add a key that will sign tokens; nobody is logged out")
    rotate_key.set_defaults(command=_rotate_key)

    healthcheck = commands.add_parser("healthcheck", help="ask the part that runs on this machine how it is")
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
    from gateway.up.child import StartFailed
    from gateway.up.embedded_redis import NoRedis
    from gateway.up.ports import NoFreePort
    from gateway.up.supervisor import CannotStart, Plan, Supervisor
    from gateway.up.welcome import welcome

    said = configuration.read(_flags(APP_HOST=options.host, APP_PORT=options.port), defaults=UP_DEFAULTS)
    settings = configuration.parse(said)
    _set_up_logging(settings, "up")

    def greet(replica_ports: list[int]) -> None:
        sys.stdout.write(welcome(settings, replica_ports))
        sys.stdout.flush()

    plan = Plan(settings, said, options.replicas, options.replica_ports)
    try:
        asyncio.run(Supervisor(plan, greet).run())
    except (CannotStart, StartFailed, NoRedis, NoFreePort) as error:
        raise Refused(str(error)) from None
    return 0


def _gateway(options: argparse.Namespace) -> int:
    from gateway.app import new_node_id
    from gateway.serve import run

    settings = configuration.load(_flags(APP_HOST=options.host, APP_PORT=options.port))
    node_id = new_node_id()
    _set_up_logging(settings, node_id)
    _need_redis(settings)
    own_ports = [port for port in (options.own_port, settings.metrics_port) if port is not None]
    sockets = [
        _bound(settings.app_host, settings.app_port, shared=options.shared),
        *(_bound(settings.app_host, port) for port in own_ports),
    ]
    run(_run_gateway(settings, sockets, _gate(options.gate), node_id, with_auth=options.with_auth))
    return 0


def _gate(fd: int | None) -> Gate:
    if fd is None:
        return OwnGate()
    from gateway.up.gate import ReplicaGate

    return ReplicaGate(fd)


async def _run_gateway(
    settings: Settings, sockets: list[socket.socket], gate: Gate, node_id: str, *, with_auth: bool
) -> None:
    from gateway.app import open_app
    from gateway.auth_mount import open_auth, open_outside, public_keys
    from gateway.metrics import Metrics
    from gateway.serve import serve
    from storage.database import open_database

    metrics = Metrics()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database_url, metrics.database.waited))
        auth = await stack.enter_async_context(open_auth(settings, database, metrics.registry)) if with_auth else None
        app = await stack.enter_async_context(
            open_app(
                settings,
                database,
                public_keys(settings, database),
                node_id=node_id,
                gate=gate,
                metrics=metrics,
                auth_routes=[] if auth is None else auth.routes(),
                outside=await stack.enter_async_context(open_outside(settings)),
            )
        )
        await serve(app, settings, sockets, gate, drain=app.state.drain, hurry=app.state.hurry)


def _auth(options: argparse.Namespace) -> int:
    from gateway.serve import run

    settings = configuration.load(_flags(APP_HOST=options.host, AUTH_PORT=options.port))
    _set_up_logging(settings, "auth")
    _need_redis(settings)
    ports = [port for port in (settings.auth_port, settings.metrics_port) if port is not None]
    run(_run_auth(settings, [_bound(settings.app_host, port) for port in ports]))
    return 0


async def _run_auth(settings: Settings, sockets: list[socket.socket]) -> None:
    from auth.app import create_app
    from gateway.auth_mount import open_auth
    from gateway.http.exposition import MetricsRoutes
    from gateway.loop_lag import measure_loop_lag
    from gateway.metrics import DatabaseMetrics, ProcessMetrics, Registry
    from gateway.serve import serve
    from gateway.tasks import Tasks
    from storage.database import open_database

    registry = Registry()
    process = ProcessMetrics(registry)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url, DatabaseMetrics(registry).waited)
        )
        auth = await stack.enter_async_context(open_auth(settings, database, registry))
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        tasks.spawn(measure_loop_lag(process.loop_lag), "loop lag")
        app = create_app(auth, MetricsRoutes(registry, settings).routes())
        await serve(app, settings, sockets, OwnGate(), websockets="none")


def _migrate(options: argparse.Namespace) -> int:
    settings = configuration.load()
    _set_up_logging(settings, "migrate")
    asyncio.run(_run_migrate(settings.database_url, restored=options.restored))
    return 0


async def _run_migrate(database_url: str, *, restored: bool) -> None:
    from storage.database import open_database
    from storage.epoch import count_restore
    from storage.migrate import migrate

    await migrate(database_url)
    if restored:
        async with open_database(database_url) as database:
            await count_restore(database)


def _rotate_key(options: argparse.Namespace) -> int:
    settings = configuration.load()
    _set_up_logging(settings, "rotate-key")
    sys.stdout.write(f"{asyncio.run(_run_rotate_key(settings))}\n")
    return 0


async def _run_rotate_key(settings: Settings) -> str:
    from gateway.auth_mount import rotate_key
    from storage.database import open_database

    async with open_database(settings.database_url) as database:
        return await rotate_key(settings, database)


def _healthcheck(options: argparse.Namespace) -> int:
    from gateway.healthcheck import auth_answers, gateway_answers

    settings = configuration.load()
    complaint = auth_answers(settings) if options.part == "auth" else gateway_answers(settings)
    if complaint is not None:
        raise Refused(complaint)
    return 0


def _set_up_logging(settings: Settings, node: str) -> None:
    from gateway import logs

    logs.set_up(settings.log_format, debug=settings.debug, node=node)


def _need_redis(settings: Settings) -> None:
    if not settings.redis_url:
        raise SettingsError(["REDIS_URL is not set; only `up` starts a Redis of its own."])


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    from gateway.serve import bind

    try:
        return bind(host, port, shared=shared)
    except OSError as error:
        raise Refused(f"Port {port} on {host} cannot be used: {error.strerror}.") from None


if __name__ == "__main__":
    sys.exit(main())
