"""Messages over HTTP: read a chat's messages page by page, post one, and edit or delete it."""

import time
from http import HTTPStatus
from typing import Annotated, Final, Protocol, TypeVar

from msgspec import UNSET, Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.chat_access import Actors, see_chat
from gateway.api.schemas import MessageObject, MessagePage, answer
from gateway.delivery.history import History
from gateway.dialects.chat import message_object
from gateway.http.command_count import counted
from gateway.http.message_input import (
    IDEMPOTENCY_KEY,
    MessageData,
    MessageText,
    NewMessageText,
    checked_data,
    checked_text,
    idempotency_key,
)
from gateway.http.parameters import QueryNumber, path_id
from gateway.http.problems import Problem, invalid_field, rate_limited, refused, too_many_commands
from gateway.interfaces.membership import Memberships
from gateway.interfaces.rate_limits import RateLimited
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.commands import MAX_HISTORY, MAX_MENTIONS
from gateway.protocol.ids import MAX_ID
from gateway.protocol.validation import new_client_msg_id
from httpapi.audit.events import Event
from httpapi.audit.facts import note, note_event
from httpapi.body import read_json
from httpapi.caller_turns import CallerTurns
from httpapi.operation import Audience, Parameter, Scope, operation
from httpapi.resource import api_resource
from storage.reaction_records import Unchanged
from storage.records import SYSTEM, Committed, EventKind, NewEvent, Outcome, Quota, Refusal, SlowMode

DEFAULT_LIMIT: Final = 50
LIMIT: Final = QueryNumber("limit", f"maximum number of messages; default {DEFAULT_LIMIT}", 1, MAX_HISTORY)
_AFTER: Final = QueryNumber("after_seq", "only events after this seq")
_REPLY_TO: Final = QueryNumber("reply_to", "only replies to this message", 1)
_BEFORE: Final = QueryNumber("before_seq", "only messages that were created before this seq")
COUNT_LIMIT: Final = Parameter(
    "X-Count-Limit",
    "with a service key: `true` counts the message towards the user's limit a minute",
    {"type": "string", "enum": ["true", "false"]},
    place="header",
)


class Poster(Protocol):
    """Stores an event and delivers it. Implemented by `gateway.node.node.Node`."""

    async def post(self, event: NewEvent, *, is_limited: bool = True) -> Outcome | RateLimited:
        """Post the event; returns once the outcome is final. It counts against its sender's limits if `is_limited`.

        Raises: StorageUnavailable.
        """
        ...


MessageId = Annotated[int, Meta(ge=1, le=MAX_ID)]


class MessageBody(Struct, forbid_unknown_fields=True):
    """A message's text, or data of the application, or both; the message of the chat that it replies to, and mentions.

    Users who are no members of the chat are not mentioned.
    """

    text: NewMessageText = ""
    data: MessageData = None
    reply_to: MessageId | None = None
    mentions: Annotated[list[MessageId], Meta(max_length=MAX_MENTIONS)] | None = None


class EditBody(Struct, forbid_unknown_fields=True):
    """The new text, which may be empty if there is data; without data, those of the message stay."""

    text: MessageText = UNSET
    data: MessageData = None


_Body = TypeVar("_Body", MessageBody, EditBody)


class MessageRoutes:
    """`/api/v1/chats/{chat_id}/messages` and `…/{message_id}`. Texts have at most `max_text_length` code points."""

    def __init__(
        self,
        actors: Actors,
        membership: Memberships,
        history: History,
        poster: Poster,
        metrics: ClientMetrics,
        max_text_length: int,
        reads: CallerTurns,
    ) -> None:
        self._actors = actors
        self._reads = reads
        self._membership = membership
        self._history = history
        self._poster = poster
        self._metrics = metrics
        self._max_text_length = max_text_length

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            api_resource("/api/v1/chats/{chat_id}/messages", GET=self._read, POST=self._post),
            api_resource("/api/v1/chats/{chat_id}/messages/{message_id}", PATCH=self._edit, DELETE=self._delete),
        ]

    @operation(
        "List the messages of a chat.",
        Audience.USER_OR_SERVICE,
        {200: MessagePage},
        {404: "not_found", 422: "invalid_field", 429: "rate_limited"},
        parameters=(_AFTER.parameter, _BEFORE.parameter, _REPLY_TO.parameter, LIMIT.parameter),
        details="Returns the newest messages in ascending order, or those before `before_seq`. With `after_seq`, "
        "returns the events after it, each as a message in its present state. With `reply_to`, returns the newest "
        "replies to that message, or those before `before_seq`. `reply_count` is in pages of messages only. A page "
        "ends at 512 KiB and may be shorter than `limit`: only an empty page is the end.",
        scope=Scope.MESSAGES,
    )
    async def _read(self, request: Request) -> Response:
        actor = await self._actors.of(request, self._read)
        chat_id = await self._actors.chat_id(request)
        access = await see_chat(self._membership, chat_id, actor.user_id)
        after, before = _AFTER.read(request), _BEFORE.read(request)
        limit = LIMIT.read(request) or DEFAULT_LIMIT
        if after is not None and before is not None:
            raise invalid_field("after_seq and before_seq exclude each other.")
        target_id = _REPLY_TO.read(request)
        if target_id is not None and after is not None:
            raise invalid_field("reply_to and after_seq exclude each other.")
        async with self._reads.turn(actor.service or actor.user_id):
            if after is not None:
                events = await self._history.after(chat_id, after, limit, access.last_seq, access.epoch)
            elif target_id is not None:
                events = await self._history.replies(chat_id, target_id, before, limit)
            else:
                events = await self._history.before(chat_id, before, limit)
            own = await self._history.own_reactions(actor.user_id, events)
        return answer(
            {
                "messages": [message_object(event, own) for event in events],
                # the page may contain events that were committed after `access` was read
                "last_seq": max([access.last_seq, *(event.seq for event in events)]),
                "epoch": access.epoch,
            }
        )

    @operation(
        "Send a message.",
        Audience.USER_OR_SERVICE,
        {201: MessageObject, 200: MessageObject},
        {
            403: "forbidden",
            404: "not_found",
            409: "id_reused",
            422: "empty_text, text_too_long, invalid_text",
            429: "rate_limited",
        },
        parameters=(IDEMPOTENCY_KEY, COUNT_LIMIT),
        body=MessageBody,
        example={"text": "Привет, как дела?"},
        details="A retry with the same `Idempotency-Key` stores nothing and returns the first response, with 200. "
        "A service as itself sends a system message (`kind`), in any chat. A message that it sends for a user does not "
        "count towards the user's limit a minute, unless the request says so.",
        scope=Scope.MESSAGES,
    )
    async def _post(self, request: Request) -> Response:
        person, actor = await self._actors.author(request, self._post)
        started = time.perf_counter()
        chat_id = await self._actors.chat_id(request)
        key = idempotency_key(request)
        body, text, data = await self._content(request, MessageBody, "message")
        event = NewEvent(
            chat_id,
            person,
            key or new_client_msg_id(),
            EventKind.MESSAGE,
            text,
            data=data,
            reply_to=body.reply_to,
            mentions=tuple(sorted(set(body.mentions or ()))),
        )
        is_limited = counts(request) or actor.service is None
        committed = await self._store(event, "message", started, is_limited=is_limited)
        return answer(message_object(committed.event), HTTPStatus.OK if committed.duplicate else HTTPStatus.CREATED)

    @operation(
        "Replace the text of a message.",
        Audience.USER_OR_SERVICE,
        {200: MessageObject},
        {
            403: "forbidden",
            404: "not_found",
            409: "id_reused, edit_limit",
            422: "empty_text, text_too_long, invalid_text",
            429: "rate_limited",
        },
        parameters=(IDEMPOTENCY_KEY,),
        body=EditBody,
        example={"text": "Привет! Как дела?"},
        details="Users change their own messages, a service as itself any. Everyone in the chat is notified, as of an "
        "edit over a WebSocket.",
        scope=Scope.MESSAGES,
    )
    async def _edit(self, request: Request) -> Response:
        person, actor = await self._actors.author(request, self._edit)
        started = time.perf_counter()
        chat_id, message_id = await self._actors.chat_id(request), path_id(request, "message_id")
        key = idempotency_key(request)
        _, text, data = await self._content(request, EditBody, "edit_message")
        event = NewEvent(chat_id, person, key or new_client_msg_id(), EventKind.EDIT, text, message_id, data)
        committed = await self._store(event, "edit_message", started, is_limited=actor.service is None)
        _note_moderation(committed)
        return answer(message_object(committed.event))

    @operation(
        "Delete a message.",
        Audience.USER_OR_SERVICE,
        {200: MessageObject},
        {403: "forbidden", 404: "not_found", 409: "id_reused", 429: "rate_limited"},
        parameters=(IDEMPOTENCY_KEY,),
        details="Users delete their own messages, a service as itself any. The message stays as an empty one with "
        "`is_deleted`, in its place. Everyone in the chat is notified.",
        scope=Scope.MESSAGES,
    )
    async def _delete(self, request: Request) -> Response:
        person, actor = await self._actors.author(request, self._delete)
        started = time.perf_counter()
        chat_id, message_id = await self._actors.chat_id(request), path_id(request, "message_id")
        key = idempotency_key(request)
        event = NewEvent(chat_id, person, key or new_client_msg_id(), EventKind.DELETE, "", message_id)
        committed = await self._store(event, "delete_message", started, is_limited=actor.service is None)
        _note_moderation(committed)
        return answer(message_object(committed.event))

    async def _content(self, request: Request, shape: type[_Body], command: str) -> tuple[_Body, str, str | None]:
        """The body, and the text and the data in it; a rejection counts as one of this command.

        Raises: Problem.
        """
        try:
            body = await read_json(request, shape)
            data = checked_data(body.data)
            if data is not None and body.text is None and shape is MessageBody:
                return body, "", data
            return body, checked_text(body.text, self._max_text_length, may_be_empty=data is not None), data
        except Problem as problem:
            self._metrics.refused("http", command, problem.code)
            raise

    async def _store(self, event: NewEvent, command: str, started: float, *, is_limited: bool) -> Committed:
        """Store the event, and count the command with its latency since `started`.

        Raises: Problem, StorageUnavailable.
        """
        with counted(self._metrics, command, started):
            return await self._committed(event, is_limited)

    async def _committed(self, event: NewEvent, is_limited: bool) -> Committed:
        outcome = await self._poster.post(event, is_limited=is_limited)
        match outcome:
            case Committed():
                return outcome
            case RateLimited(retry_after_s=wait_s):
                if event.kind is EventKind.MESSAGE:
                    self._metrics.rate_limited.inc()
                    raise rate_limited(wait_s)
                self._metrics.quota_exceeded(Quota.EDITS)
                raise too_many_commands(wait_s)
            case Refusal.NOT_A_MEMBER:
                reader_id = None if event.sender.id == SYSTEM.id else event.sender.id
                await see_chat(self._membership, event.chat_id, reader_id)  # 404 if they may not even see it
                raise refused(outcome)
            case Refusal() | SlowMode():
                raise refused(outcome)
            case Unchanged():
                raise AssertionError("only reactions can be unchanged")


def _note_moderation(committed: Committed) -> None:
    """Put a change of the message of somebody else into the audit log; a retry is not another one."""
    event = committed.event
    if event.by is not None and not committed.duplicate:
        note_event(Event.MESSAGE_MODERATED)
        note(user_id=event.sender.id, chat_id=event.chat_id, message_id=event.message_id)


def counts(request: Request) -> bool:
    """Whether the caller wants the call to count towards the user's limits.

    Raises: Problem (422).
    """
    value = request.headers.get(COUNT_LIMIT.name, "false")
    if value not in ("true", "false"):
        raise invalid_field(f"{COUNT_LIMIT.name} is true or false.")
    return value == "true"
