"""Messages over HTTP: read a chat's log page by page, and post to it."""

import time
from http import HTTPStatus
from typing import Final, Protocol

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.operation import Caller, operation
from gateway.chat_log import ChatLog
from gateway.codes import ErrorCode
from gateway.history import first_within, last_within
from gateway.http.answers import answer
from gateway.http.bodies import read_body
from gateway.http.message_fields import IDEMPOTENCY_KEY, Text, checked_text, id_reused, idempotency_key
from gateway.http.parameters import QueryNumber, path_id
from gateway.http.resources import resource
from gateway.http.shapes import MessageObject, MessagePage
from gateway.http.sight import see_chat
from gateway.identity import Identity
from gateway.membership import Membership
from gateway.messages import MAX_HISTORY, RateLimited, message_object, new_client_msg_id
from gateway.metrics.clients import ClientMetrics
from gateway.problems import Problem, forbidden, invalid_field, not_found, rate_limited, unavailable
from storage.errors import StorageUnavailable
from storage.records import Committed, EventKind, NewEvent, Outcome, Person, Refusal

DEFAULT_LIMIT: Final = 50
LIMIT: Final = QueryNumber("limit", f"how many at most; if not given, {DEFAULT_LIMIT}", 1, MAX_HISTORY)
_AFTER: Final = QueryNumber("after_seq", "only what came after this seq")
_BEFORE: Final = QueryNumber("before_seq", "only messages that were created before this seq")


class Poster(Protocol):
    """Who stores a message and tells everyone. `gateway.node.Node` meets it."""

    async def post(self, event: NewEvent) -> Outcome | RateLimited:
        """The outcome, once it is certain.

        Raises: StorageUnavailable.
        """
        ...


class MessageBody(Struct):
    """A message to post; what its text must be is said by `check_text`, whatever the dialect."""

    text: Text = ""


class MessageRoutes:
    """`/api/v1/chats/{chat_id}/messages`. Texts may have `max_text_length` code points."""

    def __init__(
        self,
        identity: Identity,
        membership: Membership,
        log: ChatLog,
        poster: Poster,
        metrics: ClientMetrics,
        max_text_length: int,
    ) -> None:
        self._identity = identity
        self._membership = membership
        self._log = log
        self._poster = poster
        self._metrics = metrics
        self._max_text_length = max_text_length

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [resource("/api/v1/chats/{chat_id}/messages", GET=self._read, POST=self._post)]

    @operation(
        "Read a chat's messages.",
        Caller.USER,
        {200: MessagePage},
        {404: "not_found", 422: "invalid_field"},
        parameters=(_AFTER.said, _BEFORE.said, LIMIT.said),
        details="The newest, ascending; or those before a seq; or, with `after_seq`, the events after one, each as a "
        "message in its present state. A page ends at 512 KiB, so it may be shorter: only an empty one is the end.",
    )
    async def _read(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        chat_id = path_id(request, "chat_id")
        sight = await see_chat(self._membership, chat_id, caller.person.id)
        after, before = _AFTER.read(request), _BEFORE.read(request)
        limit = LIMIT.read(request) or DEFAULT_LIMIT
        if after is not None and before is not None:
            raise invalid_field("after_seq and before_seq exclude each other.")
        if after is not None:
            events = first_within(await self._log.events_after(chat_id, after, limit))
        else:
            events = last_within(await self._log.messages_before(chat_id, before, limit))
        return answer(
            {
                "messages": [message_object(event) for event in events],
                # what was committed since the chat was looked at is on the page already
                "last_seq": max([sight.last_seq, *(event.seq for event in events)]),
                "epoch": sight.epoch,
            }
        )

    @operation(
        "Post a message.",
        Caller.USER,
        {201: MessageObject, 200: MessageObject},
        {
            403: "forbidden",
            404: "not_found",
            409: "id_reused",
            422: "empty_text, text_too_long, invalid_text",
            429: "rate_limited",
        },
        parameters=(IDEMPOTENCY_KEY,),
        body=MessageBody,
        example={"text": "Привет, как дела?"},
        details="With an Idempotency-Key, a retry stores nothing: 200 and the first answer.",
    )
    async def _post(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        started = time.perf_counter()
        try:
            committed = await self._store(request, caller.person)
        except Problem as problem:
            self._metrics.refused("http", "message", problem.code)
            raise
        except StorageUnavailable:
            self._metrics.refused("http", "message", ErrorCode.UNAVAILABLE)
            raise
        self._metrics.handled("http", "message", time.perf_counter() - started)
        return answer(message_object(committed.event), HTTPStatus.OK if committed.duplicate else HTTPStatus.CREATED)

    async def _store(self, request: Request, sender: Person) -> Committed:
        """What came of the message in the request.

        Raises: Problem, StorageUnavailable.
        """
        chat_id = path_id(request, "chat_id")
        key = idempotency_key(request)
        body = await read_body(request, MessageBody)
        text = checked_text(body.text, self._max_text_length)
        event = NewEvent(chat_id, sender, key or new_client_msg_id(), EventKind.MESSAGE, text)
        outcome = await self._poster.post(event)
        match outcome:
            case Committed():
                return outcome
            case RateLimited(retry_after_s=wait_s):
                self._metrics.rate_limited.inc()
                raise rate_limited(wait_s)
            case Refusal.NOT_A_MEMBER:
                await see_chat(self._membership, chat_id, sender.id)
                raise forbidden("Only members may post here.")
            case Refusal.ID_REUSED:
                raise id_reused()
            case Refusal.UNAVAILABLE | Refusal.NOT_STORABLE:
                raise unavailable()
            case Refusal.NO_SUCH_MESSAGE | Refusal.NOT_THE_AUTHOR:  # said of edits and deletions only
                raise not_found()
