"""The composition root: builds every object of a node and connects them; nothing is global.

Everything is open before the first socket is accepted, and closed in the opposite order after the last: background
tasks, then the chat log (which flushes), then Redis; the database is the caller's.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from auth.api_pages import api_pages, json_page
from auth.outside import OutsideVerifier
from auth.service_keys import ServiceKeys
from auth.tokens import PublicKeys, Verifier
from auth.version import program_version
from gateway.asyncapi.document import document
from gateway.bearers import Bearers, Outside
from gateway.connection import Connections
from gateway.departures import LINGER_S
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.service import ServiceDialect
from gateway.directs import Directs
from gateway.drain import Drain
from gateway.echo import Echo
from gateway.entrances.base import Client
from gateway.entrances.chat import ChatEntrance
from gateway.entrances.client import ClientEntrance, NativeSessions
from gateway.entrances.echo import EchoEntrance
from gateway.entrances.public import PublicEntrance
from gateway.entrances.room import RoomEntrance
from gateway.entrances.service import ServiceEntrance
from gateway.entrances.sessions import Sessions
from gateway.evictions import Evictions, expire
from gateway.feed import Feed
from gateway.gate import Gate
from gateway.health import Health
from gateway.http.chats import ChatRoutes
from gateway.http.clients import ClientRoutes
from gateway.http.edge import ABOUT, REFUSALS, Edge
from gateway.http.exposition import MetricsRoutes
from gateway.http.links import LinkRoutes
from gateway.http.members import MemberRoutes
from gateway.http.messages import MessageRoutes
from gateway.http.presence import PresenceRoutes
from gateway.http.probes import ProbeRoutes
from gateway.http.room_messages import RoomMessageRoutes
from gateway.http.transcripts import TranscriptRoutes
from gateway.hub import Hub
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.lobby import Lobby
from gateway.loop_lag import measure_loop_lag
from gateway.metrics import Metrics
from gateway.node import Node
from gateway.origins import Origins
from gateway.pages import Pages
from gateway.problems import HANDLERS
from gateway.redis.client import RedisEvents, open_redis
from gateway.repair import INTERVAL_S, Repair
from gateway.room_store import RoomStore, Store
from gateway.rooms import RoomInbox
from gateway.routes import page_routes, web_socket_routes
from gateway.settings import Environment, Settings
from gateway.subscription import Roster
from gateway.tasks import Tasks
from gateway.upstream import Upstream
from storage.accounts import Accounts
from storage.chat_log import open_chat_log
from storage.chats import Chats
from storage.database import Database
from storage.identities import Identities
from storage.public_channel import PublicChannel
from storage.records import ChatKind, Role
from storage.rooms import Rooms
from storage.transcripts import open_transcripts

if TYPE_CHECKING:
    from gateway.ingest.queue import DurableQueue

CHECK_WHILE_REDIS_IS_DOWN_S = 1.0
"""Then the position check is what delivers other nodes' messages (delivery.md 7)."""


def new_node_id() -> str:
    """A name for this process, unique among all that ever ran: host and a random part."""
    return f"{socket.gethostname()}-{secrets.token_hex(3)}"


@asynccontextmanager
async def open_app(
    settings: Settings,
    database: Database,
    public_keys: PublicKeys,
    *,
    node_id: str,
    gate: Gate,
    metrics: Metrics,
    auth_routes: Sequence[BaseRoute] = (),
    outside: OutsideVerifier | None = None,
) -> AsyncIterator[Starlette]:
    """The node as an ASGI application; `state.drain()` sends its clients away and `state.hurry()` skips the waiting.

    Raises: StorageUnavailable. Redis may be away: the node then starts degraded.
    """
    roster, clients = Roster(), dict[Client, float]()
    membership = Chats(database)
    evictions = Evictions(roster, membership)
    async with AsyncExitStack() as stack:
        failures: list[str] = []

        def redis_events(shard: int) -> RedisEvents:
            shown = metrics.redis.of(shard)
            return RedisEvents(
                happened=shown.happened,
                task_failed=lambda name, _: failures.append(name),
                answered=shown.answered,
                probed=shown.probed,
            )

        redis = await stack.enter_async_context(
            open_redis(
                settings.redis_url,
                node_id,
                messages_per_minute=settings.messages_per_minute,
                events=redis_events,
            )
        )
        health = Health(redis.broker, gate, failures)
        log = await stack.enter_async_context(open_chat_log(database, metrics.delivery.committed))
        transcripts = await stack.enter_async_context(open_transcripts(database, metrics.delivery.transcribed))
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        pages = Pages(log, tasks, on_page=metrics.delivery.page)
        hub = Hub(metrics.delivery.broadcast, on_event=pages.add, on_forget=pages.forget)
        repair = Repair(
            hub,
            log,
            tasks,
            await log.epoch(),
            on_members_changed=evictions.recheck,
            on_gap=metrics.delivery.gap,
            on_checked=health.store_answered,
            interval_s=lambda: CHECK_WHILE_REDIS_IS_DOWN_S if redis.broker.down else INTERVAL_S,
        )
        lobby = Lobby(redis.clients, metrics.clients.notices)
        feed = Feed(node_id, lobby, membership, redis.broker)
        node = Node(
            node_id=node_id,
            hub=hub,
            roster=roster,
            broker=redis.broker,
            presence=redis.presence,
            limits=redis.limits,
            log=log,
            pages=pages,
            membership=membership,
            repair=repair,
            evictions=evictions,
            feed=feed,
            tasks=tasks,
        )
        intake = Intake(
            hub=hub,
            repair=repair,
            evictions=evictions,
            node=node,
            lobby=lobby,
            feed=feed,
            on_bad=metrics.delivery.bad_publications.inc,
        )
        redis.start(intake, intake)
        vital = Tasks(on_failure=lambda name, _: failures.append(name))
        stack.push_async_callback(vital.close)
        vital.spawn(repair.run(), "position check")
        vital.spawn(feed.run(), "users' feed")
        vital.spawn(node.departures.run(), "departures")
        vital.spawn(expire(clients), "token expiry")
        vital.spawn(measure_loop_lag(metrics.process.loop_lag), "loop lag")

        rooms = Rooms(database)
        queue = await _open_queue(stack, settings, node_id, rooms, node, metrics, failures)
        inbox: RoomInbox = RoomStore(rooms, node)
        if queue is not None:
            inbox = queue.inbox
            health.watch_queue(lambda: queue.is_up)
        metrics.clients.watch(clients, lambda: redis.presence.seats)
        metrics.delivery.watch(
            chats=lambda: len(hub), gaps=repair.count_unrepaired, kept=lambda: pages.size, waiting=lambda: log.waiting
        )
        metrics.redis.watch(lambda: redis.broker.unpublished)
        metrics.servers.watch(lambda: health.dependencies)
        metrics.process.watch(ready=lambda: health.is_ready, draining=lambda: health.is_draining)

        origins = Origins(
            settings.allowed_origins,
            public_url=settings.public_url,
            is_development=settings.app_env is Environment.DEVELOPMENT,
        )
        trusted = Outside(outside, Identities(database)) if outside is not None else None
        bearers = Bearers(Verifier(public_keys), Accounts(database), redis.tickets, trusted)
        identity = Identity(bearers, origins)
        drain = Drain(
            clients,
            delay_s=settings.drain_delay_s,
            drain_s=settings.drain_s,
            on_closing=node.departures.expect_back,
        )
        connections = Connections(clients=clients, drain=drain, metrics=metrics.clients)
        chat = Sessions(node, metrics.clients, ChatDialect(settings.max_text_length))
        public = Sessions(node, metrics.clients, PublicDialect(settings.max_text_length))
        service = Sessions(node, metrics.clients, ServiceDialect(settings.max_text_length))
        resuming = Sessions(node, metrics.clients, ServiceDialect(settings.max_text_length, resumes=True))
        upstream = Upstream(settings.echo_proxy_url) if settings.is_proxy else None
        service_keys = ServiceKeys(settings.service_keys)
        native = NativeSessions(node, lobby, feed, metrics.clients, NativeDialect(settings.max_text_length))
        http: list[BaseRoute] = [
            *ChatRoutes(identity, membership, node).routes(),
            *MemberRoutes(identity, membership, node).routes(),
            *MessageRoutes(identity, membership, log, node, metrics.clients, settings.max_text_length).routes(),
            *PresenceRoutes(identity, membership, redis.presence).routes(),
            *ClientRoutes(service_keys, redis.clients, Directs(redis.clients, redis.broker)).routes(),
            *LinkRoutes(identity, redis.tickets, settings.public_url).routes(),
            *RoomMessageRoutes(
                inbox, service_keys, metrics.clients, settings.max_text_length, is_open=settings.allow_guests
            ).routes(),
            *TranscriptRoutes(identity, transcripts).routes(),
            *ProbeRoutes(health, node_id).routes(),
            *MetricsRoutes(metrics.registry, settings).routes(),
            *auth_routes,
        ]
        app = Starlette(
            routes=[
                *web_socket_routes(
                    connections,
                    chat=ChatEntrance(identity, chat, settings.second_connection),
                    service=ServiceEntrance(
                        identity, service, resuming, ChatKind.SERVICE, frozenset({Role.MASTER, Role.CLIENT})
                    ),
                    support=ServiceEntrance(
                        identity, service, resuming, ChatKind.SUPPORT, frozenset({Role.SUPPORT, Role.CLIENT})
                    ),
                    echo=EchoEntrance(identity, Echo(transcripts, tasks, metrics.clients, upstream)),
                    room=RoomEntrance(identity, rooms, node, metrics.clients),
                    public=PublicEntrance(identity, public, PublicChannel(database, membership)),
                    client=ClientEntrance(identity, native),
                ),
                *http,
                *api_pages(http, title="chat-gateway", about=ABOUT, everywhere=REFUSALS),
                json_page(
                    "/asyncapi.json",
                    document(
                        version=program_version(),
                        public_url=settings.public_url,
                        max_text_length=settings.max_text_length,
                    ),
                ),
                *page_routes(settings.static_path),
            ],
            exception_handlers=HANDLERS,
            middleware=[Middleware(Edge, node_id=node_id, origins=origins)],
        )

        async def leave() -> None:
            health.drain()
            finish = [queue.finish()] if queue is not None else []
            await asyncio.gather(*finish, drain.run())
            await redis.presence.stop(LINGER_S + drain.return_s)

        app.state.drain = leave
        app.state.hurry = drain.hurry
        yield app


async def _open_queue(
    stack: AsyncExitStack,
    settings: Settings,
    node_id: str,
    rooms: Rooms,
    store: Store,
    metrics: Metrics,
    failures: list[str],
) -> "DurableQueue | None":
    """The durable queue of AMQP_URL, if there is one; closed with the stack."""
    if not settings.amqp_url:
        return None
    from gateway.ingest.queue import OUTCOMES, QueueEvents, open_queue  # a tenth of a second that others need not wait

    events = QueueEvents(
        settled=metrics.queue.settled,
        link_lost=metrics.queue.link_lost,
        task_failed=lambda name, _: failures.append(name),
    )
    queue = await stack.enter_async_context(
        open_queue(
            settings.amqp_url,
            node_id=node_id,
            rooms=rooms,
            store=store,
            max_text_length=settings.max_text_length,
            events=events,
        )
    )
    metrics.queue.watch(lambda: queue.unacked, OUTCOMES)
    return queue
