"""The audit log over HTTP, for operators."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Protocol, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import answer
from gateway.http.parameters import QueryNumber
from gateway.http.problems import invalid_field
from gateway.protocol.ids import id_in, seq_in
from httpapi.audit.events import Event
from httpapi.operation import Audience, Parameter, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys
from storage.audit_entry import AuditCursor, AuditEntry, AuditFilter, AuditPage

DEFAULT: Final = 50
MAX_PAGE: Final = 200

_LIMIT: Final = QueryNumber("limit", "the most records of the page", 1, MAX_PAGE)
_ACTOR: Final = re.compile(r"user:[0-9]{1,19}|service:[A-Za-z0-9_.-]{1,40}|operator|anonymous|several")
_TARGET: Final = re.compile(r"(user|chat):([0-9]{1,19})")
_CURSOR: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
_EVENTS: Final = [event.value for event in Event]
_ACTOR_SCHEMA: Final = {"type": "string", "pattern": f"^({_ACTOR.pattern})$"}
_TARGET_SCHEMA: Final = {"type": "string", "pattern": f"^{_TARGET.pattern}$"}
_CURSOR_SCHEMA: Final = {"type": "string", "pattern": f"^{_CURSOR.pattern}$"}
_TIME_SCHEMA: Final = {"type": "string", "format": "date-time"}
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_MAX_TIME: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_Milliseconds = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time to the millisecond; the other times of the API have whole seconds."""


class AuditLog(Protocol):
    """Implemented by `storage.repositories.audit_records`."""

    async def page(self, wanted: AuditFilter, after: AuditCursor | None, limit: int) -> AuditPage:
        """Up to `limit` entries that match, newest first, after the cursor's.

        Raises: StorageUnavailable.
        """
        ...


class AuditObject(TypedDict):
    """One record. `count` is more than 1 in a summary of records that were not written one by one."""

    id: str
    time: _Milliseconds
    event: str
    result: str
    actor: str
    on_behalf_of: str
    operation: str
    address: str
    request_id: str
    user_id: int | None
    chat_id: int | None
    facts: dict[str, str | int]
    count: int
    node: str


class AuditRecordList(TypedDict):
    """A page of records, newest first; `next_cursor` is null on the last one."""

    records: list[AuditObject]
    next_cursor: str | None


class AuditRoutes:
    """`/api/v1/audit`."""

    def __init__(self, service_keys: ServiceKeys, log: AuditLog) -> None:
        self._service_keys = service_keys
        self._log = log

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/audit", GET=self._list)]

    @operation(
        "Read the audit log, newest first: who did what, from where, and with what result.",
        Audience.SERVICE,
        {200: AuditRecordList},
        {422: "invalid_field"},
        parameters=(
            Parameter("event", "only this event", {"type": "string", "enum": _EVENTS}),
            Parameter("actor", "only what this caller did: `user:<id>`, `service:<name>`, `operator` …", _ACTOR_SCHEMA),
            Parameter("target", "only what was done to `user:<id>` or `chat:<id>`", _TARGET_SCHEMA),
            Parameter("since", "from this time on", _TIME_SCHEMA),
            Parameter("until", "before this time", _TIME_SCHEMA),
            _LIMIT.parameter,
            Parameter("cursor", "the `next_cursor` of the page before", _CURSOR_SCHEMA),
        ),
        details=f"A page has {DEFAULT} records unless `limit` says otherwise. The events and the retention are in "
        "`docs/audit.md`. A read is recorded too.",
        scope=Scope.ADMIN,
    )
    async def _list(self, request: Request) -> Response:
        self._service_keys.require(request, self._list)
        page = await self._log.page(_filter(request), _cursor(request), _LIMIT.read(request) or DEFAULT)
        following = page.following
        return answer(
            AuditRecordList(
                records=[audit_object(entry) for entry in page.entries],
                next_cursor=None if following is None else f"{following.created_at}-{following.entry_id}",
            )
        )


def _filter(request: Request) -> AuditFilter:
    """What the query asks for.

    Raises: Problem (422).
    """
    event, actor = _text(request, "event"), _text(request, "actor")
    if event is not None and event not in _EVENTS:
        raise invalid_field("event must be one of the events of the audit log.")
    if actor is not None and not _ACTOR.fullmatch(actor):
        raise invalid_field("actor must be user:<id>, service:<name>, operator, anonymous or several.")
    user_id, chat_id = _target(request)
    return AuditFilter(event, actor, user_id, chat_id, _time(request, "since"), _time(request, "until"))


def _target(request: Request) -> tuple[int | None, int | None]:
    text = _text(request, "target")
    if text is None:
        return None, None
    match = _TARGET.fullmatch(text)
    number = None if match is None else id_in(match[2])
    if match is None or number is None:
        raise invalid_field("target must be user:<id> or chat:<id>.")
    return (number, None) if match[1] == "user" else (None, number)


def _cursor(request: Request) -> AuditCursor | None:
    text = _text(request, "cursor")
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    created_at, entry_id = (None, None) if match is None else (seq_in(match[1]), seq_in(match[2]))
    if created_at is None or entry_id is None:
        raise invalid_field("cursor must be the next_cursor of a page.")
    return AuditCursor(created_at, entry_id)


def _time(request: Request, name: str) -> int | None:
    """In Unix milliseconds."""
    text = _text(request, name)
    if text is None:
        return None
    try:
        moment = msgspec.convert(text, _Time) if len(text) <= _MAX_TIME else None
        milliseconds = None if moment is None else (moment - _EPOCH) // _MS
    except (msgspec.ValidationError, OverflowError):
        milliseconds = None
    if milliseconds is None:
        raise invalid_field(f"{name} must be a time with an offset, such as 2030-01-01T00:00:00Z.")
    return milliseconds


def _text(request: Request, name: str) -> str | None:
    """The parameter; None if the query does not have it.

    Raises: Problem (422 for several values).
    """
    texts = request.query_params.getlist(name)
    if len(texts) > 1:
        raise invalid_field(f"{name} must be given once.")
    return texts[0] if texts else None


def audit_object(entry: AuditEntry) -> AuditObject:
    """The record as JSON objects show it."""
    return {
        "id": entry.uid,
        "time": (_EPOCH + entry.created_at * _MS).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": entry.event,
        "result": entry.result,
        "actor": entry.actor,
        "on_behalf_of": entry.on_behalf_of,
        "operation": entry.operation,
        "address": entry.address,
        "request_id": entry.request_id,
        "user_id": entry.user_id,
        "chat_id": entry.chat_id,
        "facts": dict(entry.facts),
        "count": entry.count,
        "node": entry.node,
    }
