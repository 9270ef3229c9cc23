"""Messages over HTTP: read a chat's messages page by page, and post one."""

import time
from http import HTTPStatus
from typing import Final, Protocol

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import see_chat
from gateway.api.schemas import MessageObject, MessagePage, answer
from gateway.authentication.authenticator import Authenticator
from gateway.delivery.history import History
from gateway.dialects.chat import message_object
from gateway.http.message_input import IDEMPOTENCY_KEY, MessageText, checked_text, idempotency_key
from gateway.http.parameters import QueryNumber, path_id
from gateway.http.problems import Problem, invalid_field, rate_limited, refused
from gateway.interfaces.membership import Memberships
from gateway.interfaces.rate_limits import RateLimited
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import MAX_HISTORY
from gateway.protocol.validation import new_client_msg_id
from httpapi.body import read_json
from httpapi.caller_turns import CallerTurns
from httpapi.operation import Audience, operation
from httpapi.resource import api_resource
from storage.errors import StorageUnavailable
from storage.records import Committed, EventKind, NewEvent, Outcome, Person, Refusal

DEFAULT_LIMIT: Final = 50
LIMIT: Final = QueryNumber("limit", f"maximum number of messages; default {DEFAULT_LIMIT}", 1, MAX_HISTORY)
_AFTER: Final = QueryNumber("after_seq", "only events after this seq")
_BEFORE: Final = QueryNumber("before_seq", "only messages that were created before this seq")


class Poster(Protocol):
    """Stores a message and delivers it. Implemented by `gateway.node.node.Node`."""

    async def post(self, event: NewEvent) -> Outcome | RateLimited:
        """Post the message; returns once the outcome is final.

        Raises: StorageUnavailable.
        """
        ...


class MessageBody(Struct, forbid_unknown_fields=True):
    """A message to post. `check_text` validates its text, as in every dialect."""

    text: MessageText = ""


class MessageRoutes:
    """`/api/v1/chats/{chat_id}/messages`. Texts have at most `max_text_length` code points."""

    def __init__(
        self,
        identity: Authenticator,
        membership: Memberships,
        history: History,
        poster: Poster,
        metrics: ClientMetrics,
        max_text_length: int,
        reads: CallerTurns,
    ) -> None:
        self._identity = identity
        self._reads = reads
        self._membership = membership
        self._history = history
        self._poster = poster
        self._metrics = metrics
        self._max_text_length = max_text_length

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [api_resource("/api/v1/chats/{chat_id}/messages", GET=self._read, POST=self._post)]

    @operation(
        "List the messages of a chat.",
        Audience.USER,
        {200: MessagePage},
        {404: "not_found", 422: "invalid_field", 429: "rate_limited"},
        parameters=(_AFTER.parameter, _BEFORE.parameter, LIMIT.parameter),
        details="Returns the newest messages in ascending order, or those before `before_seq`. With `after_seq`, "
        "returns the events after it, each as a message in its present state. A page ends at 512 KiB and may be "
        "shorter than `limit`: only an empty page is the end.",
    )
    async def _read(self, request: Request) -> Response:
        caller = await self._identity.caller(request)
        chat_id = path_id(request, "chat_id")
        access = await see_chat(self._membership, chat_id, caller.person.id)
        after, before = _AFTER.read(request), _BEFORE.read(request)
        limit = LIMIT.read(request) or DEFAULT_LIMIT
        if after is not None and before is not None:
            raise invalid_field("after_seq and before_seq exclude each other.")
        async with self._reads.turn(caller.person.id):
            if after is not None:
                events = await self._history.after(chat_id, after, limit, access.last_seq, access.epoch)
            else:
                events = await self._history.before(chat_id, before, limit)
        return answer(
            {
                "messages": [message_object(event) for event in events],
                # the page may contain events that were committed after `access` was read
                "last_seq": max([access.last_seq, *(event.seq for event in events)]),
                "epoch": access.epoch,
            }
        )

    @operation(
        "Send a message.",
        Audience.USER,
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
        details="A retry with the same `Idempotency-Key` stores nothing and returns the first response, with 200.",
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
        """Post the message in the request.

        Raises: Problem, StorageUnavailable.
        """
        chat_id = path_id(request, "chat_id")
        key = idempotency_key(request)
        body = await read_json(request, MessageBody)
        text = checked_text(body.text, self._max_text_length)
        event = NewEvent(chat_id, sender, key or new_client_msg_id(), EventKind.MESSAGE, text)
        outcome = await self._poster.post(event)
        match outcome:
            case Committed():
                return outcome
            case RateLimited(retry_after_s=wait_s):
                self._metrics.rate_limited.inc()
                raise rate_limited(wait_s)
            case refusal:
                if refusal is Refusal.NOT_A_MEMBER:
                    await see_chat(self._membership, chat_id, sender.id)  # 404 if the sender may not even see it
                raise refused(refusal)
