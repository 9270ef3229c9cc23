"""Many messages in one request of a service, each with an outcome of its own."""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors
from gateway.api.messages import MessageId
from gateway.api.schemas import BatchResults, answer
from gateway.dialects.chat import message_object
from gateway.http.call_limits import count_requests
from gateway.http.message_input import checked_data, checked_text
from gateway.http.problems import Problem, invalid_field, refused
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.commands import MAX_MENTIONS
from gateway.protocol.ids import MAX_ID
from gateway.protocol.validation import MAX_CLIENT_MSG_ID, check_client_msg_id
from httpapi.audit.facts import note
from httpapi.body import read_json
from httpapi.caller_turns import CallerTurns
from httpapi.operation import ON_BEHALF_OF, Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys
from storage.reaction_records import Unchanged
from storage.records import SYSTEM, Committed, EventKind, NewEvent, Outcome, Person

MAX_ITEMS: Final = 500
MAX_BYTES: Final = 1024 * 1024
"""Of a body."""


class BatchPoster(Protocol):
    """Stores and delivers many events. Implemented by `gateway.node.node.Node`."""

    async def post_all(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Post the events, which count against no limit; returns each one's outcome once all are final."""
        ...


class BatchItem(Struct, forbid_unknown_fields=True):
    """A message. `on_behalf_of` is a user's id, or `sub:` and a subject; without it the message is the system's."""

    chat_id: Annotated[int, Meta(ge=1, le=MAX_ID)]
    client_msg_id: Annotated[str, Meta(min_length=1, max_length=MAX_CLIENT_MSG_ID)]
    text: str | None = None
    data: dict[str, Any] | None = None
    reply_to: MessageId | None = None
    mentions: Annotated[list[MessageId], Meta(max_length=MAX_MENTIONS)] | None = None
    on_behalf_of: Annotated[int, Meta(ge=1, le=MAX_ID)] | str | None = None


class BatchBody(Struct, forbid_unknown_fields=True):
    """Messages, stored in this order within each chat."""

    items: Annotated[list[BatchItem], Meta(min_length=1, max_length=MAX_ITEMS)]


_Senders = Mapping[str, Person | Problem]


class MessageBatchRoutes:
    """`/api/v1/messages`. Texts have at most `max_text_length` code points; `turns` bounds the memory of batches."""

    def __init__(
        self,
        actors: Actors,
        service_keys: ServiceKeys,
        poster: BatchPoster,
        metrics: ClientMetrics,
        max_text_length: int,
        turns: CallerTurns,
    ) -> None:
        self._actors = actors
        self._service_keys = service_keys
        self._poster = poster
        self._metrics = metrics
        self._max_text_length = max_text_length
        self._turns = turns

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [api_resource("/api/v1/messages", POST=self._post)]

    @operation(
        "Send many messages.",
        Audience.SERVICE,
        {200: BatchResults},
        {429: "rate_limited"},
        body=BatchBody,
        example={"items": [{"chat_id": 1, "text": "Order 7 was paid.", "client_msg_id": "order-7-paid"}]},
        details=f"At most {MAX_ITEMS} messages in a body of at most 1 MiB; each counts as a request. The results have "
        "the order of the items: each is a `message` (`status` 201, or 200 if it had been stored before), or a "
        "`problem`. The whole request may be repeated: what is stored is not stored again. One with `on_behalf_of` is "
        "that user's, one without is a system message.",
        scope=Scope.MESSAGES,
    )
    async def _post(self, request: Request) -> Response:
        key = self._service_keys.require(request, self._post)
        if ON_BEHALF_OF.name in request.headers:
            raise invalid_field(f"Each item has an on_behalf_of of its own; {ON_BEHALF_OF.name} is not used here.")
        async with self._turns.turn(key.name):
            started = time.perf_counter()
            items = (await read_json(request, BatchBody, MAX_BYTES)).items
            note(messages=len(items))
            await count_requests(request, len(items) - 1)
            senders = await self._actors.represent({str(item.on_behalf_of) for item in items if item.on_behalf_of})
            return answer({"results": await self._results(items, senders, started)})

    async def _results(self, items: Sequence[BatchItem], senders: _Senders, started: float) -> list[dict[str, object]]:
        events = [self._event(item, senders) for item in items]
        outcomes = iter(await self._poster.post_all([event for event in events if isinstance(event, NewEvent)]))
        elapsed_s = time.perf_counter() - started
        results: list[dict[str, object]] = []
        for event in events:
            outcome = event if isinstance(event, Problem) else next(outcomes)
            if isinstance(outcome, Committed):
                self._metrics.handled("http", "message", elapsed_s)
                status = HTTPStatus.OK if outcome.duplicate else HTTPStatus.CREATED
                results.append({"status": status.value, "message": message_object(outcome.event)})
            else:
                assert not isinstance(outcome, Unchanged), "only reactions can be unchanged"  # noqa: S101
                problem = outcome if isinstance(outcome, Problem) else refused(outcome)
                self._metrics.refused("http", "message", problem.code)
                results.append({"status": problem.status.value, "problem": problem.document()})
        return results

    def _event(self, item: BatchItem, senders: _Senders) -> NewEvent | Problem:
        try:
            sender = senders[str(item.on_behalf_of)] if item.on_behalf_of else SYSTEM
            if isinstance(sender, Problem):
                return sender
            if not check_client_msg_id(item.client_msg_id):
                raise invalid_field(f"client_msg_id has 1 to {MAX_CLIENT_MSG_ID} characters.")
            data = checked_data(item.data)
            has_text = data is None or item.text is not None
            text = checked_text(item.text, self._max_text_length, may_be_empty=data is not None) if has_text else ""
        except Problem as problem:
            return problem
        mentions = tuple(sorted(set(item.mentions or ())))
        ids = item.chat_id, sender, item.client_msg_id
        return NewEvent(*ids, EventKind.MESSAGE, text, data=data, reply_to=item.reply_to, mentions=mentions)
