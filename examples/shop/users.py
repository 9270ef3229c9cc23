"""The shop's own users and their sessions. In memory: a real shop has a table, and hashes of passwords."""

import hmac
import os
import secrets
from dataclasses import dataclass, field
from typing import Any


@dataclass
class User:
    """`sub` is the shop's id of the user. `chat` is the user as the gateway knows it, from the first sign-in on."""

    sub: str
    name: str
    is_staff: bool = False
    chat: dict[str, Any] = field(default_factory=dict)
    pushes: list[str] = field(default_factory=list)


by_sub = {user.sub: user for user in (User("u-1", "Ann"), User("u-2", "Bob"), User("u-3", "Sue", is_staff=True))}
_of_session: dict[str, User] = {}


def sign_in(name: str, password: str) -> tuple[str, User] | None:
    """A new session and its user; None if the name or the password is wrong."""
    user = next((user for user in by_sub.values() if user.name == name), None)
    if user is None or not hmac.compare_digest(password.encode(), os.environ["SHOP_PASSWORD"].encode()):
        return None
    session = secrets.token_urlsafe()
    _of_session[session] = user
    return session, user


def signed_in(session: str) -> User | None:
    """The user of a session."""
    return _of_session.get(session)


def remove(user: User) -> None:
    """Forget a user, with all sessions."""
    by_sub.pop(user.sub, None)
    for session in [session for session, owner in _of_session.items() if owner is user]:
        del _of_session[session]
