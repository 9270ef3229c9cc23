"""The ASGI application of a node: WebSocket and HTTP routes over the objects that `composition` opens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from auth.tokens.access_tokens import PublicKeys, Verifier
from auth.tokens.external_issuer import ExternalIssuerVerifier
from gateway.api.chat_access import Actors
from gateway.api.chats.activity import ChatActivityRoutes
from gateway.api.chats.arrangement import ArrangementRoutes
from gateway.api.chats.chats import ChatRoutes
from gateway.api.chats.links import LinkRoutes
from gateway.api.chats.lists import ChatListRoutes
from gateway.api.chats.member_roles import MemberRoleRoutes
from gateway.api.chats.members import MemberRoutes, NamedMembers
from gateway.api.chats.one_chat import OneChatRoutes
from gateway.api.chats.presence import PresenceRoutes
from gateway.api.commands import CommandDialect, CommandRoutes
from gateway.api.message_batch import MessageBatchRoutes
from gateway.api.messages import MessageRoutes
from gateway.api.operator.audit import AuditLog, AuditRoutes
from gateway.api.operator.metrics import MetricsRoutes
from gateway.api.operator.probes import ProbeRoutes
from gateway.api.operator.replicas import ReplicaRoutes
from gateway.api.operator.settings import SettingRoutes
from gateway.api.operator.up import Controls, UpRoutes
from gateway.api.operator.webhooks import WebhookRoutes
from gateway.api.reactions import ReactionRoutes
from gateway.api.room_messages import RoomMessageRoutes
from gateway.api.transcripts import TranscriptRoutes
from gateway.api.users.clients import ClientRoutes
from gateway.api.users.erasure import ErasureRoutes
from gateway.api.users.export import ExportRoutes
from gateway.api.users.people import PeopleRoutes
from gateway.api.users.presence import UserPresenceRoutes
from gateway.api.users.sessions import UserSessionRoutes
from gateway.api.users.users import UserRoutes
from gateway.asyncapi.routes import web_socket_pages
from gateway.audit import audit_records
from gateway.authentication.authenticator import Authenticator
from gateway.authentication.credential_resolver import CredentialResolver, ExternalIssuer, People
from gateway.authentication.origins import Origins
from gateway.composition import OpenNode, open_node
from gateway.config.choices import Environment, LogFormat
from gateway.config.settings import Settings
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.service import ServiceDialect
from gateway.dialects.sse import SseDialect
from gateway.endpoints.acceptor import Acceptor
from gateway.endpoints.chat import ChatEndpoint
from gateway.endpoints.connection_limits import ConnectionLimits, Limits, descriptor_limit
from gateway.endpoints.direct_routes import DirectRoutes
from gateway.endpoints.echo import EchoEndpoint
from gateway.endpoints.native import NativeEndpoint
from gateway.endpoints.public import PublicEndpoint
from gateway.endpoints.room import RoomEndpoint
from gateway.endpoints.service import ServiceEndpoint
from gateway.endpoints.sse import EventStreams
from gateway.http.call_limits import CallLimits, CallRates
from gateway.http.pages import client_routes, page_routes
from gateway.http.problems import HANDLERS
from gateway.http.slow_refusals import SlowRefusals
from gateway.interfaces.rooms import PublicChannel
from gateway.interfaces.session import OpenSession
from gateway.metrics import Metrics
from gateway.middleware import ABOUT, REFUSALS, Edge, node_header
from gateway.node.direct_push import DirectPusher
from gateway.node.leave_queue import LINGER_S
from gateway.outlet import wanted_of
from gateway.routes import web_socket_routes
from gateway.server.drain import Drain
from gateway.server.startup import StartupBarrier
from gateway.sessions.echo import EchoService
from gateway.sessions.echo_quota import EchoLimits, EchoQuota
from gateway.sessions.echo_upstream import Upstream
from gateway.tracing.tracing import Tracing
from httpapi.audit.middleware import Audit
from httpapi.audit.recorder import Recorder
from httpapi.caller_turns import CallerTurns
from httpapi.docs_pages import api_pages, program_version
from httpapi.redirects import RelativeRedirects
from httpapi.security_headers import SecurityHeaders
from httpapi.service_keys import ServiceKeys
from httpapi.site import Site
from storage.database.database import Database
from storage.records import ChatKind, Role
from storage.repositories.auth.accounts import Accounts
from storage.repositories.chats import Chats
from storage.repositories.identities import Identities
from storage.repositories.profiles import Profiles
from storage.repositories.public_channel import PublicChannelRepository

READS_AT_ONCE = 2
"""Lists and pages of one user that a node reads at a time: all users share its connections to the database."""
READS_PER_CALLER, READS = 20, 2_000
BATCHES_AT_ONCE, BATCHES_PER_CALLER, BATCHES = 2, 10, 50
"""Batches of messages of one service key that are held in memory; that are held or wait; and of all keys."""
"""How many of one user, and of all, are read or wait; beyond them 429."""


@asynccontextmanager
async def open_app(
    settings: Settings,
    database: Database,
    public_keys: PublicKeys,
    *,
    node_id: str,
    gate: StartupBarrier,
    metrics: Metrics,
    audit: Recorder,
    auth_routes: Sequence[BaseRoute] = (),
    outside: ExternalIssuerVerifier | None = None,
    controls: Controls | None = None,
) -> AsyncIterator[Starlette]:
    """Open a node as an ASGI application; `state.drain()` closes its sessions, `state.hurry()` skips the drain's waits.

    Raises: StorageUnavailable. Redis may be down: the node then starts degraded.
    """
    sessions = dict[OpenSession, float]()
    async with open_node(settings, database, node_id=node_id, gate=gate, metrics=metrics, sessions=sessions) as opened:
        identities = Identities(database)
        trusted = ExternalIssuer(outside, identities) if outside is not None else None
        people = Accounts(database)
        credentials = CredentialResolver(Verifier(public_keys), people, opened.tickets, opened.revocation_list, trusted)
        public_channel = PublicChannelRepository(
            database, Chats(database, wanted=wanted_of(settings))
        )  # which any number of users may enter
        yield build(
            settings,
            opened,
            sessions,
            credentials,
            people,
            identities,
            Profiles(database),
            public_channel,
            metrics,
            audit,
            audit_records(settings, database),
            auth_routes,
            controls,
        )


def _traced(tracing: Tracing) -> list[Middleware]:
    if tracing.traces is None:
        return []
    from gateway.tracing.requests import TracedRequests  # needs the library

    return [Middleware(TracedRequests, traces=tracing.traces)]


def build(
    settings: Settings,
    opened: OpenNode,
    sessions: dict[OpenSession, float],
    credentials: CredentialResolver,
    people: People,
    identities: Identities,
    profiles: Profiles,
    public_channel: PublicChannel,
    metrics: Metrics,
    audit: Recorder,
    audit_log: AuditLog,
    auth_routes: Sequence[BaseRoute],
    controls: Controls | None,
) -> Starlette:
    """Build the application with all routes of the node; `sessions` will contain the sessions of accepted sockets."""
    origins = Origins(
        settings.allowed_origins,
        public_url=settings.public_url,
        is_development=settings.app_env is Environment.DEVELOPMENT,
    )
    site = Site(settings.public_url, settings.allowed_origins, any_host=not settings.is_production)
    logs_requests = settings.log_format is LogFormat.TEXT and not settings.is_production
    slow_refusals = SlowRefusals(metrics.clients.refusals_slowed.inc)
    limits = ConnectionLimits(
        Limits(
            settings.max_connections or descriptor_limit(),
            settings.max_connections_per_address,
            settings.max_connections_per_user,
            settings.handshakes_per_minute_per_address,
            settings.handshakes_per_minute_per_user,
        ),
        opened.caller_buckets,
        on_limited=metrics.clients.handshake_limited,
        slow_refusals=slow_refusals,
    )
    service_keys = ServiceKeys(settings.service_keys, metrics.clients.service_called)
    call_limits = CallLimits(
        CallRates(
            requests=settings.http_requests_per_minute,
            lists=settings.lists_per_minute,
            chats=settings.chats_per_minute,
            members=settings.members_per_minute,
        ),
        opened.caller_buckets,
        service_keys,
        settings.trusted_proxies,
        slow_refusals,
        metrics.clients.http_limited,
    )

    async def on_caller(connection: HTTPConnection, user_id: int | None) -> None:
        await limits.admit(connection, user_id)
        if user_id is not None:
            await call_limits.on_user(connection, user_id)

    identity = Authenticator(credentials, origins, on_caller)
    drain = Drain(
        sessions,
        delay_s=settings.drain_delay_s,
        drain_s=settings.drain_s,
        on_closing=opened.expect_back,
    )
    connections = Acceptor(
        clients=sessions,
        limits=limits,
        trusted_proxies=settings.trusted_proxies,
        drain=drain,
        metrics=metrics.clients,
        audit=audit,
    )
    max_length, context = settings.max_text_length, replace(opened.context, renew=credentials.renew)
    service, resuming = ServiceDialect(max_length), ServiceDialect(max_length, resumes=True)
    upstream = Upstream(settings.echo_proxy_url) if settings.is_proxy else None
    echo_limits = EchoLimits(
        settings.echo_transcript_kb * 1024,
        settings.echo_kb_per_hour * 1024,
        settings.echo_kb_per_hour_per_address * 1024,
    )
    quota = EchoQuota(opened.byte_quotas, echo_limits, opened.tasks)
    echo = EchoService(opened.transcripts, opened.tasks, metrics.clients, upstream, quota)
    actors = Actors(identity, service_keys, opened.senders, opened.members)
    names = NamedMembers(identities, settings.jwt_issuer)
    batches = CallerTurns(at_once=BATCHES_AT_ONCE, per_caller=BATCHES_PER_CALLER, total=BATCHES)
    reads = CallerTurns(at_once=READS_AT_ONCE, per_caller=READS_PER_CALLER, total=READS)
    upkeep = opened.chat_upkeep
    erasure = ErasureRoutes(identity, service_keys, opened.erasures, opened.on_erasure)
    http: list[BaseRoute] = [
        *ChatRoutes(
            actors,
            names,
            opened.chat_policy,
            opened.members,
            opened.member_changes,
            ChatListRoutes(actors, opened.members, opened.chat_lists, reads),
        ).routes(),
        *OneChatRoutes(actors, opened.members, upkeep.setup, upkeep.changes, upkeep.removals, upkeep.removed).routes(),
        *MemberRoutes(
            actors,
            names,
            opened.chat_policy,
            opened.members,
            opened.member_changes,
            MemberRoleRoutes(actors, opened.members, upkeep.roles, opened.member_changes),
        ).routes(),
        *PeopleRoutes(actors, service_keys, opened.contacts, opened.staff).routes(),
        *UserPresenceRoutes(actors, context.online, context.limits).routes(),
        *UserRoutes(
            identity, service_keys, profiles, identities, settings.jwt_issuer, erasure.erase, erasure.erase_caller
        ).routes(),
        *erasure.routes(),
        *ExportRoutes(identity, service_keys, profiles, opened.exports).routes(),
        *MessageRoutes(
            actors,
            opened.members,
            context.history,
            opened.node,
            metrics.clients,
            settings.max_text_length,
            reads,
        ).routes(),
        *ReactionRoutes(actors, opened.members, opened.node, metrics.clients).routes(),
        *MessageBatchRoutes(
            actors, service_keys, opened.node, metrics.clients, settings.max_text_length, batches
        ).routes(),
        *ChatActivityRoutes(actors, opened.members, opened.node, context.limits).routes(),
        *ArrangementRoutes(actors, opened.members, opened.chat_lists, opened.node, context.limits).routes(),
        *PresenceRoutes(actors, opened.members, opened.context.present_people).routes(),
        *CommandRoutes(actors, context, CommandDialect(max_length), reads).routes(),
        *ClientRoutes(
            service_keys, opened.client_registry, DirectPusher(opened.client_registry, opened.broker)
        ).routes(),
        *UserSessionRoutes(service_keys, people, opened.revocation_log, opened.user_sessions).routes(),
        *LinkRoutes(identity, opened.tickets, site).routes(),
        *RoomMessageRoutes(
            opened.inbox, service_keys, metrics.clients, settings.max_text_length, is_open=settings.allow_guests
        ).routes(),
        *TranscriptRoutes(identity, opened.transcripts, reads).routes(),
        *ProbeRoutes(opened.health, opened.node_id).routes(),
        *AuditRoutes(service_keys, audit_log).routes(),
        *WebhookRoutes(service_keys, opened.outbox, opened.outlet.types).routes(),
        *ReplicaRoutes(service_keys, opened.replicas, has_controls=controls is not None).routes(),
        *UpRoutes(service_keys, opened.replicas, controls).routes(),
        *SettingRoutes(service_keys, settings, opened.node_id).routes(),
        *MetricsRoutes(metrics.registry, settings).routes(),
        *auth_routes,
    ]
    http = call_limits.over(http)
    sockets = web_socket_routes(
        connections,
        chat=ChatEndpoint(identity, context, ChatDialect(max_length), settings.second_connection),
        service=ServiceEndpoint(
            identity, context, service, resuming, ChatKind.SERVICE, frozenset({Role.MASTER, Role.CLIENT})
        ),
        support=ServiceEndpoint(
            identity, context, service, resuming, ChatKind.SUPPORT, frozenset({Role.SUPPORT, Role.CLIENT})
        ),
        echo=EchoEndpoint(identity, echo, settings.trusted_proxies),
        room=RoomEndpoint(identity, context, opened.rooms),
        public=PublicEndpoint(identity, context, PublicDialect(max_length), public_channel, opened.member_changes),
        client=NativeEndpoint(identity, context, opened.tracing.dialect(NativeDialect(max_length))),
        stream=EventStreams(
            identity,
            context,
            SseDialect(max_length),
            clients=sessions,
            limits=limits,
            trusted_proxies=settings.trusted_proxies,
            drain=drain,
        ),
    )
    security = partial(SecurityHeaders, public_url=settings.public_url, is_production=settings.is_production)
    edge = partial(Edge, node_id=opened.node_id, origins=origins, logs_requests=logs_requests)
    app = Starlette(
        routes=[
            *sockets,
            *http,
            *api_pages(http, site, title="chat-gateway", about=ABOUT, everywhere=REFUSALS),
            *web_socket_pages(
                version=program_version(),
                public_url=settings.public_url,
                max_text_length=settings.max_text_length,
            ),
            *client_routes(program_version()),
            *page_routes(settings.static_path, settings.page_image_sources),
        ],
        exception_handlers=HANDLERS,
        middleware=[
            *_traced(opened.tracing),
            Middleware(
                DirectRoutes,
                routes=sockets,
                headers=(node_header(opened.node_id),),
                wrap=lambda response: security(edge(response)),
            ),
            Middleware(security),
            Middleware(Audit, recorder=audit, trusted_proxies=settings.trusted_proxies),
            Middleware(edge),
            Middleware(RelativeRedirects),
        ],
    )

    async def leave() -> None:
        opened.health.drain()
        await asyncio.gather(opened.finish_queue(), drain.run())
        await opened.stop_presence(LINGER_S + drain.return_s)

    app.state.drain = leave
    app.state.hurry = drain.hurry
    return app
