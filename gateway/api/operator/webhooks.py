"""Webhooks over HTTP, for operators: what waits for each, the dead letters, and what removed webhooks left."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, TypedDict

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import answer
from gateway.http.parameters import QueryCursor, QueryNumber
from gateway.http.problems import Problem, invalid_field, not_found
from gateway.interfaces.outbox import OutboxQueue
from gateway.protocol.codes import ErrorCode
from gateway.protocol.ids import MAX_ID
from gateway.webhooks.outlet import removed_endpoints
from httpapi.audit.facts import note
from httpapi.body import read_json
from httpapi.operation import Audience, Parameter, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys
from storage.outbox_records import DeadLetter

DEFAULT: Final = 50
MAX_PAGE: Final = 200
MAX_REPLAYED: Final = 1000

_LIMIT: Final = QueryNumber("limit", "the most dead letters of the page", 1, MAX_PAGE)
_CURSOR: Final = QueryCursor("dead-letters")
_MAX_NAME: Final = 40


class WebhookObject(TypedDict):
    """An endpoint, and what waits for it; `lag_s` is the age of the oldest event.

    One that is no longer set up `is_removed`: what waits for it is kept until it is set up again, or dropped.
    """

    name: str
    is_removed: bool
    events: list[str]
    waiting_events: int
    waiting_chats: int
    failing_chats: int
    dead_letters: int
    lag_s: float


class WebhookList(TypedDict):
    """The endpoints of this node, then up to 100 that are no longer set up, and of which the outbox has something."""

    webhooks: list[WebhookObject]


class DeadLetterObject(TypedDict):
    """An event whose delivery was given up; `seq` is that of the chat's log, or of the log's event before it."""

    id: int
    webhook: str
    type: str
    chat_id: int | None
    user_id: int | None
    seq: int
    error: str
    created_at: datetime
    given_up_at: datetime


class DeadLetterPage(TypedDict):
    """Dead letters, the oldest first; `next` is null on the last page."""

    dead_letters: list[DeadLetterObject]
    next: str | None


class ReplayBody(Struct, forbid_unknown_fields=True):
    """Which dead letters: these, or those of one webhook, or all; at most 1,000 a call."""

    ids: Annotated[list[Annotated[int, Meta(ge=1, le=MAX_ID)]], Meta(min_length=1, max_length=MAX_REPLAYED)] | None = (
        None
    )
    webhook: Annotated[str, Meta(min_length=1, max_length=_MAX_NAME)] | None = None


class Replayed(TypedDict):
    """How many wait again, and how many dead letters of this choice there may still be."""

    replayed: int
    has_more: bool


class DropBody(Struct, forbid_unknown_fields=True):
    """Which webhook; it is no longer set up."""

    webhook: Annotated[str, Meta(min_length=1, max_length=_MAX_NAME)]


class DroppedObject(TypedDict):
    """How many events were deleted, dead letters among them, and whether there may still be some."""

    dropped: int
    has_more: bool


class WebhookRoutes:
    """`/api/v1/webhooks`, `…/dead-letters`, `…/dead-letters/replay` and `…/drop`."""

    def __init__(self, service_keys: ServiceKeys, outbox: OutboxQueue, endpoints: Mapping[str, frozenset[str]]) -> None:
        """`endpoints` has the types of events that each gets."""
        self._service_keys = service_keys
        self._outbox = outbox
        self._endpoints = endpoints

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/webhooks", GET=self._list),
            api_resource("/api/v1/webhooks/dead-letters", GET=self._dead_letters),
            api_resource("/api/v1/webhooks/dead-letters/replay", POST=self._replay),
            api_resource("/api/v1/webhooks/drop", POST=self._drop),
        ]

    @operation(
        "List the webhooks and what waits for them.",
        Audience.SERVICE,
        {200: WebhookList},
        details="`docs/webhooks.md` says how webhooks are set up. The exchange of RabbitMQ is listed as `exchange`.",
        scope=Scope.ADMIN,
    )
    async def _list(self, request: Request) -> Response:
        self._service_keys.require(request, self._list)
        names = [*sorted(self._endpoints), *await removed_endpoints(self._outbox, self._endpoints)]
        return answer(WebhookList(webhooks=[await self._webhook(name) for name in names]))

    async def _webhook(self, name: str) -> WebhookObject:
        backlog = await self._outbox.backlog(name)
        return {
            "name": name,
            "is_removed": name not in self._endpoints,
            "events": sorted(self._endpoints.get(name, ())),
            "waiting_events": backlog.events,
            "waiting_chats": backlog.streams,
            "failing_chats": backlog.failing,
            "dead_letters": backlog.dead,
            "lag_s": round(backlog.lag_s, 3),
        }

    @operation(
        "List events whose delivery was given up, the oldest first.",
        Audience.SERVICE,
        {200: DeadLetterPage},
        {422: "invalid_field"},
        parameters=(
            Parameter("webhook", "only those of this webhook", {"type": "string", "maxLength": _MAX_NAME}),
            _LIMIT.parameter,
            _CURSOR.parameter,
        ),
        details=f"A page has {DEFAULT} unless `limit` says otherwise. They are kept for 30 days.",
        scope=Scope.ADMIN,
    )
    async def _dead_letters(self, request: Request) -> Response:
        self._service_keys.require(request, self._dead_letters)
        names = request.query_params.getlist("webhook")
        if len(names) > 1 or any(len(name) > _MAX_NAME or "\0" in name for name in names):
            raise invalid_field("webhook must be the name of one webhook.")
        limit = _LIMIT.read(request) or DEFAULT
        letters = await self._outbox.dead_letters(names[0] if names else None, _CURSOR.read(request) or 0, limit)
        following = letters[-1].id if len(letters) == limit else None
        return answer(DeadLetterPage(dead_letters=_objects(letters), next=_CURSOR.text(following)))

    @operation(
        "Deliver dead letters again.",
        Audience.SERVICE,
        {200: Replayed},
        {422: "invalid_field"},
        body=ReplayBody,
        example={"webhook": "app"},
        details="They are sent before what waits of their chats, and after what was delivered since: a receiver gets "
        "them out of order. Repeat the call while `has_more`.",
        scope=Scope.ADMIN,
    )
    async def _replay(self, request: Request) -> Response:
        self._service_keys.require(request, self._replay)
        body = await read_json(request, ReplayBody)
        if body.ids is not None and body.webhook is not None:
            raise invalid_field("Either ids or webhook, not both.", "ids")
        ids = body.ids
        if ids is None:
            ids = [letter.id for letter in await self._outbox.dead_letters(body.webhook, 0, MAX_REPLAYED)]
        replayed = await self._outbox.replay(ids)
        return answer(Replayed(replayed=replayed, has_more=body.ids is None and len(ids) == MAX_REPLAYED))

    @operation(
        "Drop what waits for a webhook that is no longer set up.",
        Audience.SERVICE,
        {200: DroppedObject},
        {404: "not_found", 409: "conflict", 422: "invalid_field"},
        body=DropBody,
        example={"webhook": "former"},
        details="Its events and dead letters are deleted, and never sent. Under the same name, a webhook that is set "
        "up later gets what happens from then on. Repeat the call while `has_more`. 409: this node has the webhook; "
        "remove it from the settings of all nodes first.",
        scope=Scope.ADMIN,
    )
    async def _drop(self, request: Request) -> Response:
        self._service_keys.require(request, self._drop)
        name = (await read_json(request, DropBody)).webhook
        note(webhook=name)
        if name in self._endpoints:
            detail = "The webhook is set up. Remove it from the settings of all nodes first."
            raise Problem(HTTPStatus.CONFLICT, ErrorCode.CONFLICT, detail)
        if name not in await self._outbox.endpoints():
            raise not_found()
        dropped = await self._outbox.drop(name)
        return answer(DroppedObject(dropped=dropped.events, has_more=not dropped.is_all))


def _objects(letters: Sequence[DeadLetter]) -> list[DeadLetterObject]:
    return [
        {
            "id": letter.id,
            "webhook": letter.endpoint,
            "type": letter.type,
            "chat_id": letter.stream if letter.stream > 0 else None,
            "user_id": -letter.stream if letter.stream < 0 else None,
            "seq": letter.after_seq,
            "error": letter.error,
            "created_at": datetime.fromtimestamp(letter.created_at / 1000, UTC),
            "given_up_at": datetime.fromtimestamp(letter.dead_at / 1000, UTC),
        }
        for letter in letters
    ]
