"""Builds every object of a node and connects them; nothing is global.

Everything is open before the first socket is accepted, and is closed in reverse order after the last one: background
tasks, then the chat log (which flushes), then Redis. The caller opens and closes the database.
"""

import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.authentication.represented_users import RepresentedUsers
from gateway.config.settings import Settings
from gateway.delivery.history import History
from gateway.delivery.hub import Hub
from gateway.delivery.open_chats import OpenChats
from gateway.delivery.repair import INTERVAL_S, Repair
from gateway.delivery.replay_cache import ReplayCache
from gateway.delivery.subscription import SubscriptionRegistry
from gateway.inlet import no_queue, open_inlet
from gateway.interfaces.broker import Broker
from gateway.interfaces.client_registry import ClientRegistry
from gateway.interfaces.outbox import OutboxQueue
from gateway.interfaces.presence import Presence
from gateway.interfaces.rate_limits import ByteQuotas, CallerBuckets
from gateway.interfaces.revocations import RevocationLog
from gateway.interfaces.rooms import RoomInbox
from gateway.interfaces.session import OpenSession
from gateway.interfaces.tickets import Tickets
from gateway.interfaces.transcripts import Transcripts
from gateway.interfaces.users.senders import Senders
from gateway.metrics import Metrics
from gateway.metrics.process import measure_loop_lag
from gateway.metrics.totals import read_totals
from gateway.node.broker_listener import BrokerHandler
from gateway.node.chat_changes import ChatChanges
from gateway.node.chat_removals import ChatUpkeep, RemovedChats
from gateway.node.evictions import Evictions, expire
from gateway.node.leave_queue import LeaveQueue
from gateway.node.local_clients import LocalClients
from gateway.node.member_changes import MemberChanges
from gateway.node.node import Node
from gateway.node.online.online_users import OnlineUsers
from gateway.node.online.presence_events import PresenceEvents
from gateway.node.policy.chat_policy import ChatPolicy
from gateway.node.policy.revocation_list import RevocationList
from gateway.node.presence_publisher import PresencePublisher
from gateway.node.present_people import PresentPeople
from gateway.node.read_positions import ReadPositions
from gateway.node.room_inbox import StoreInbox
from gateway.node.upkeep.people_names import PeopleNames
from gateway.node.upkeep.replica_reporter import ReplicaReporter
from gateway.node.user_feed import UserFeed
from gateway.node.user_sessions import UserSessions
from gateway.outlet import add_outlet, wanted_of
from gateway.redis.backend import RedisEvents, open_redis
from gateway.redis.namespace import Namespace
from gateway.server.health import Health
from gateway.server.startup import StartupBarrier
from gateway.sessions.command_limits import SOCKETS_AN_OWNER, CommandLimits, rates_of
from gateway.sessions.context import SessionContext
from gateway.tasks import Tasks
from gateway.tracing.tracing import Tracing, open_tracing
from gateway.upkeep import start_upkeep
from gateway.webhooks.outlet import Outlet
from httpapi.docs_pages import program_version
from storage.database.database import Database
from storage.database.store_identity import store_id
from storage.log.chat_log import open_chat_log
from storage.log.transcripts import open_transcripts
from storage.repositories.auth.accounts import Accounts
from storage.repositories.chat_lists import StoredChatLists
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.removals import ChatRemovals
from storage.repositories.chat_setup.roles import StoredRoles
from storage.repositories.chats import Chats
from storage.repositories.contacts import ContactRepository
from storage.repositories.identities import Identities
from storage.repositories.profiles import Profiles
from storage.repositories.quotas import Quotas
from storage.repositories.revocations import Revocations
from storage.repositories.rooms import RoomRepository
from storage.repositories.staff import StaffRepository
from storage.repositories.users.erasures import Erasures
from storage.repositories.users.exports import Exports
from storage.repositories.users.last_seen import LastSeenRepository
from storage.repositories.users.present_users import PresentUsers

CHECK_WHILE_REDIS_IS_DOWN_S = 1.0
"""While Redis is down, only the position check delivers other nodes' messages (delivery.md 7)."""


def new_node_id() -> str:
    """A name for this process, unique among all past and present ones: the host name and a random part."""
    return f"{socket.gethostname()}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class OpenNode:
    """The objects of a node that its WebSocket and HTTP routes use."""

    node_id: str
    node: Node
    context: SessionContext
    member_changes: MemberChanges
    chat_upkeep: ChatUpkeep
    erasures: Erasures
    exports: Exports
    on_erasure: Callable[[], None]
    """To call when a user's erasure was requested here."""
    revocation_log: RevocationLog
    revocation_list: RevocationList
    user_sessions: UserSessions
    expect_back: Callable[[float], None]
    """To call before sockets are closed, with the longest time in seconds after which their clients come back."""
    health: Health
    tasks: Tasks
    transcripts: Transcripts
    byte_quotas: ByteQuotas
    members: Chats
    chat_lists: StoredChatLists
    contacts: ContactRepository
    staff: StaffRepository
    chat_policy: ChatPolicy
    rooms: RoomRepository
    inbox: RoomInbox
    senders: Senders
    presence: Presence
    tickets: Tickets
    broker: Broker
    client_registry: ClientRegistry
    caller_buckets: CallerBuckets
    outbox: OutboxQueue
    outlet: Outlet
    replicas: ReplicaReporter
    tracing: Tracing
    finish_queue: Callable[[], Awaitable[None]]
    """Stops consuming from the durable queue; returns when all consumed messages are stored."""
    stop_presence: Callable[[float], Awaitable[None]]
    """Ends this node's presence, but keeps its seats for that many seconds, in which clients reconnect elsewhere."""


@asynccontextmanager
async def open_node(
    settings: Settings,
    database: Database,
    *,
    node_id: str,
    gate: StartupBarrier,
    metrics: Metrics,
    sessions: Collection[OpenSession],
) -> AsyncIterator[OpenNode]:
    """Open a node. `sessions` is the live collection of open sessions, which the caller maintains.

    Raises: StorageUnavailable. Redis may be down: the node then starts degraded.
    """
    subscriptions = SubscriptionRegistry()
    wanted = wanted_of(settings)
    quotas = Quotas(settings.max_chats_per_user, settings.max_members_per_chat, metrics.clients.quota_exceeded)
    membership = Chats(database, quotas, wanted)
    evictions = Evictions(subscriptions, membership)
    revocation_log = Revocations(database)
    revocation_list = RevocationList(revocation_log)
    senders = RepresentedUsers(Accounts(database), Identities(database), revocation_list, settings.jwt_issuer)
    await revocation_list.load()
    async with AsyncExitStack() as stack:
        failures: list[str] = []

        def redis_events(shard: int) -> RedisEvents:
            shard_metrics = metrics.redis.of(shard)
            return RedisEvents(
                happened=shard_metrics.happened,
                task_failed=lambda name, _: failures.append(name),
                answered=shard_metrics.answered,
                probed=shard_metrics.probed,
            )

        store = await store_id(database)
        redis = await stack.enter_async_context(
            open_redis(
                settings.redis_url,
                Namespace(store, settings.redis_prefix),
                node_id,
                messages_per_minute=settings.messages_per_minute,
                strangers_per_minute=settings.strangers_per_minute,
                edits_per_minute=SOCKETS_AN_OWNER * settings.edits_per_minute,
                reactions_per_minute=SOCKETS_AN_OWNER * settings.reactions_per_minute,
                events=redis_events,
            )
        )
        health = Health(redis.broker, gate, failures)
        health.watch_peers(redis.differences)
        tracing = await stack.enter_async_context(open_tracing(settings.traces_per_s, node_id, metrics.traces.begun))
        outbox, outlet = await add_outlet(stack, settings, database, node_id, redis, metrics, failures, tracing)

        log = await stack.enter_async_context(
            open_chat_log(
                database,
                outlet.stirred_by(metrics.delivery.committed),
                hold_s=settings.commit_hold_ms / 1000,
            )
        )
        transcripts = await stack.enter_async_context(open_transcripts(database, metrics.delivery.transcribed))
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        pages = ReplayCache(log, tasks, on_page=metrics.delivery.page)
        hub = Hub(
            tracing.on_flush(metrics.delivery.broadcast),
            on_event=pages.add,
            on_forget=pages.forget,
            on_behind=metrics.delivery.broadcasts_behind.inc,
        )
        local_clients = LocalClients(redis.clients, metrics.clients.notices)
        feed = UserFeed(node_id, local_clients, membership, redis.broker)
        chat_setup = ChatDetailsRepository(database, wanted)
        chat_changes = ChatChanges(hub, feed, chat_setup, redis.broker)
        removals = ChatRemovals(database, wanted, metrics.delivery.rows_removed.inc, node_id=node_id)
        removed_chats = RemovedChats(removals, feed, evictions, redis.broker)
        repair = Repair(
            hub,
            log,
            tasks,
            await log.epoch(),
            on_members_changed=evictions.recheck,
            on_chats_changed=chat_changes.take,
            on_gap=metrics.delivery.gap,
            on_checked=health.store_answered,
            interval_s=lambda: CHECK_WHILE_REDIS_IS_DOWN_S if redis.broker.down else INTERVAL_S,
        )
        read_positions = ReadPositions(node_id, local_clients, subscriptions, membership, redis.broker)
        presence_publisher = PresencePublisher(redis.broker, subscriptions, evictions)
        leave_queue = LeaveQueue(redis.presence, presence_publisher.left)
        node = Node(
            node_id=node_id,
            hub=hub,
            subscriptions=subscriptions,
            broker=tracing.broker(redis.broker),
            presence=redis.presence,
            presence_publisher=presence_publisher,
            leave_queue=leave_queue,
            limits=redis.limits,
            edit_limits=redis.edit_limits,
            reaction_limits=redis.reaction_limits,
            log=tracing.log(log),
            pages=pages,
            membership=membership,
            repair=repair,
            evictions=evictions,
            feed=feed,
            read_positions=read_positions,
            tasks=tasks,
        )
        profiles = Profiles(database)
        last_seen, present = LastSeenRepository(database), PresentUsers(database, wanted)
        online = OnlineUsers(
            redis.clients,
            last_seen,
            redis.broker.announce,
            local_clients.tell,
            events=PresenceEvents(present, last_seen) if present.is_wanted else None,
        )
        context = SessionContext(
            node=node,
            membership=membership,
            present_people=PresentPeople(redis.presence, profiles),
            online=online,
            history=History(hub, log, pages),
            local_clients=local_clients,
            feed=feed,
            tasks=tasks,
            metrics=metrics.clients,
            limits=CommandLimits(rates_of(settings)),
            traces=tracing.traces,
        )
        user_sessions = UserSessions(sessions, local_clients, subscriptions, revocation_list, redis.broker)
        broker_handler = BrokerHandler(
            hub=hub,
            repair=repair,
            evictions=evictions,
            presence_publisher=presence_publisher,
            local_clients=local_clients,
            feed=feed,
            read_positions=read_positions,
            user_sessions=user_sessions,
            chat_changes=chat_changes,
            removed_chats=removed_chats,
            on_bad=metrics.delivery.bad_publications.inc,
            online=online,
        )
        redis.start(tracing.listener(broker_handler), broker_handler)
        vital = Tasks(on_failure=lambda name, _: failures.append(name))
        stack.push_async_callback(vital.close)
        outlet.start(vital, OpenChats(hub, pages))
        member_changes = MemberChanges(feed, evictions, redis.broker)

        def on_left(chat_id: int, user_id: int) -> None:
            member_changes.membership_changed(chat_id, user_id, removed=True)

        erasures = start_upkeep(vital, settings, database, metrics, node_id, on_left, wanted)

        def expect_back(within_s: float) -> None:
            leave_queue.expect_back(within_s)
            online.expect_back(within_s)

        def on_erasure() -> None:
            user_sessions.revoked()
            erasures.soon()

        vital.spawn(repair.run(), "position check")
        vital.spawn(feed.run(), "users' feed")
        vital.spawn(online.run(), "users who left")
        vital.spawn(read_positions.run(), "read positions")
        vital.spawn(chat_changes.run(), "changes of chats")
        vital.spawn(removed_chats.run(), "removed chats")
        vital.spawn(removals.run(), "rows of removed chats")
        vital.spawn(leave_queue.run(), "departures")
        vital.spawn(PeopleNames(profiles, sessions, pages.forget_senders).run(), "names")
        vital.spawn(expire(sessions), "token expiry")
        vital.spawn(revocation_list.run(sessions), "revocations")
        vital.spawn(measure_loop_lag(metrics.process.loop_lag), "loop lag")

        contacts, staff = ContactRepository(database), StaffRepository(database)
        chat_policy = ChatPolicy(
            staff,
            contacts,
            redis.stranger_limits,
            most=settings.strangers_per_minute,
            staff_chats=settings.staff_chats,
            adding=settings.allow_adding,
            on_limited=metrics.clients.strangers_limited.inc,
        )
        rooms = RoomRepository(database)
        queue = await open_inlet(stack, settings, store, node_id, rooms, senders, node, metrics, failures)
        inbox: RoomInbox = StoreInbox(rooms, node)
        if queue is not None:
            inbox = queue.inbox
            health.watch_queue(lambda: queue.is_up, lambda: queue.refusal)
        metrics.clients.watch(sessions, lambda: redis.presence.seats)
        metrics.delivery.watch(
            chats=lambda: len(hub), gaps=repair.count_unrepaired, kept=lambda: pages.size, waiting=lambda: log.waiting
        )
        metrics.redis.watch(lambda: redis.broker.unpublished, lambda: redis.differing)
        metrics.servers.watch(lambda: health.dependencies)
        metrics.process.watch(ready=lambda: health.is_ready, draining=lambda: health.is_draining)
        replicas = ReplicaReporter(
            node_id, program_version(), health, lambda: read_totals(metrics.registry), redis.replicas
        )
        vital.spawn(replicas.run(), "report of this replica")
        yield OpenNode(
            node_id=node_id,
            node=node,
            context=context,
            member_changes=member_changes,
            chat_upkeep=ChatUpkeep(chat_setup, chat_changes, removals, removed_chats, StoredRoles(database, wanted)),
            erasures=Erasures(database),
            exports=Exports(database),
            on_erasure=on_erasure,
            revocation_log=revocation_log,
            revocation_list=revocation_list,
            user_sessions=user_sessions,
            expect_back=expect_back,
            health=health,
            tasks=tasks,
            transcripts=transcripts,
            byte_quotas=redis.byte_quotas,
            members=membership,
            chat_lists=StoredChatLists(database),
            contacts=contacts,
            staff=staff,
            chat_policy=chat_policy,
            rooms=rooms,
            inbox=inbox,
            senders=senders,
            presence=redis.presence,
            tickets=redis.tickets,
            broker=redis.broker,
            client_registry=redis.clients,
            caller_buckets=redis.caller_buckets,
            outbox=outbox,
            outlet=outlet,
            replicas=replicas,
            tracing=tracing,
            finish_queue=no_queue if queue is None else queue.finish,
            stop_presence=redis.presence.stop,
        )
