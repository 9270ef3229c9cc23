"""The rules for a new account. All broken rules are reported together."""

import re
from collections.abc import Iterator
from typing import Final

from auth.accounts.breached_passwords import is_breached
from httpapi.errors import BrokenRule
from storage.names import is_name

MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 128
MAX_NAME: Final = 150

LOGIN_PATTERN: Final = "^[A-Za-z0-9._@+-]{3,64}$"
_LOGIN: Final = re.compile(LOGIN_PATTERN)


def is_login(text: str) -> bool:
    """Whether an account may have this login."""
    return _LOGIN.fullmatch(text) is not None


def broken_rules(login: str, password: str, first_name: str, last_name: str) -> list[BrokenRule]:
    """Everything that is wrong with a registration; empty if nothing is."""
    return [
        *broken_by_login(login),
        *broken_by_password(password, login),
        *_broken_by_name("first_name", first_name),
        *_broken_by_name("last_name", last_name),
    ]


def broken_by_login(login: str) -> Iterator[BrokenRule]:
    """What is wrong with a login."""
    if not is_login(login):
        yield BrokenRule("login", "invalid_login", "A login has 3 to 64 characters: Latin letters, digits and ._@+-")


def broken_by_password(password: str, login: str, field: str = "password") -> Iterator[BrokenRule]:
    """Everything that is wrong with a password, as an error of this field."""

    def broken(code: str, detail: str) -> BrokenRule:
        return BrokenRule(field, code, detail)

    if len(password) < MIN_PASSWORD:
        yield broken("too_short", f"A password has at least {MIN_PASSWORD} characters.")
    if len(password) > MAX_PASSWORD:
        yield broken("too_long", f"A password has at most {MAX_PASSWORD} characters.")
    if password.casefold() == login.casefold():
        yield broken("same_as_login", "The password must not be the login.")
    if password and not password.strip():
        yield broken("only_spaces", "The password must not be only spaces.")
    elif len(set(password)) == 1:
        yield broken("one_character_repeated", "The password must not be one character repeated.")
    elif MIN_PASSWORD <= len(password) <= MAX_PASSWORD and is_breached(password):
        yield broken("too_common", "This password is in lists of stolen passwords, which attackers try first.")


def _broken_by_name(field: str, name: str) -> Iterator[BrokenRule]:
    if len(name) > MAX_NAME:
        yield BrokenRule(field, "too_long", f"A name has at most {MAX_NAME} characters.")
    elif name and not is_name(name):
        yield BrokenRule(field, "unprintable", "A name is visible, without control or invisible characters.")
