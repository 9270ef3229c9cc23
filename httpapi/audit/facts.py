"""What handlers add to the audit record of their request: who calls, whom it is done to, and details.

Facts are a fixed set of names with bounded values, so that no body or header gets into a record by mistake. Outside of
a request these functions do nothing.
"""

import re
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Final

from httpapi.audit.events import Event

MAX_FACT: Final = 200
MAX_ACTOR: Final = 80
MAX_LOGIN: Final = 64
ANONYMOUS: Final = "anonymous"
HIDDEN: Final = "[redacted]"

_CREDENTIAL: Final = re.compile(r"eyJ[\w-]{12,}[\w.-]*|(?:tkt|rt)_[\w-]{16,}")
"""A JWT, a ticket or a refresh token, which a caller has put into the wrong field."""


@dataclass(slots=True)
class Notes:
    """What is known about one request."""

    actor: str = ANONYMOUS
    is_service: bool = False
    on_behalf_of: str = ""
    user_id: int | None = None
    chat_id: int | None = None
    is_unchanged: bool = False
    event: Event | None = None
    facts: dict[str, str | int] = field(default_factory=dict)


_notes: Final[ContextVar[Notes | None]] = ContextVar("audit_notes", default=None)


def begin() -> tuple[Notes, Token[Notes | None]]:
    """The empty notes of a new request; `end` takes the token."""
    notes = Notes()
    return notes, _notes.set(notes)


def end(token: Token[Notes | None]) -> None:
    """Called when the request has been handled."""
    _notes.reset(token)


def note(
    *,
    user_id: int | None = None,
    chat_id: int | None = None,
    role: str | None = None,
    jti: str | None = None,
    session: str | None = None,
    login: str | None = None,
    client_id: str | None = None,
    room_id: str | None = None,
    until: int | None = None,
    issued_before: int | None = None,
    everywhere: bool | None = None,
    new_owner_id: int | None = None,
    members: int | None = None,
    messages: int | None = None,
    message_id: int | None = None,
    kind: str | None = None,
    reason: str | None = None,
    webhook: str | None = None,
) -> None:
    """Add facts to the record of the current request. `login` is that of an existing account.

    A login name that no account has is not passed: it may be a password in the wrong field.
    """
    notes = _notes.get()
    if notes is None:
        return
    notes.user_id = notes.user_id if user_id is None else user_id
    notes.chat_id = notes.chat_id if chat_id is None else chat_id
    texts = {"role": role, "jti": jti, "session": session, "client_id": client_id, "room_id": room_id}
    texts |= {"kind": kind, "reason": reason, "webhook": webhook}
    notes.facts |= {name: clean(text, MAX_FACT) for name, text in texts.items() if text}
    if login:
        notes.facts["login"] = clean(login, MAX_LOGIN)
    numbers = {"until": until, "issued_before": issued_before, "everywhere": everywhere}
    numbers |= {"new_owner_id": new_owner_id, "members": members, "messages": messages, "message_id": message_id}
    notes.facts |= {name: int(number) for name, number in numbers.items() if number is not None}


def note_user(user_id: int) -> None:
    """The caller is this user. A service that acts for the user remains the actor."""
    notes = _notes.get()
    if notes is None:
        return
    if notes.is_service:
        notes.on_behalf_of = f"user:{user_id}"
    else:
        notes.actor = f"user:{user_id}"


def note_service(name: str, on_behalf_of: str = "") -> None:
    """The caller is a service; `name` is that of its key."""
    notes = _notes.get()
    if notes is not None:
        notes.actor, notes.is_service = clean(f"service:{name}", MAX_ACTOR), True
        notes.on_behalf_of = clean(on_behalf_of, MAX_ACTOR)


def note_unchanged() -> None:
    """The request succeeded and changed nothing: there is nothing to record but the call of a service."""
    notes = _notes.get()
    if notes is not None:
        notes.is_unchanged = True


def note_event(event: Event) -> None:
    """The request has turned out to be this event, which its operation alone does not say."""
    notes = _notes.get()
    if notes is not None:
        notes.event = event


def clean(text: str, max_length: int) -> str:
    """At most `max_length` printable characters, without anything that looks like a token of ours."""
    shown = _CREDENTIAL.sub(HIDDEN, text[: max_length * 2])[:max_length]
    return "".join(character if character.isprintable() else "?" for character in shown)
