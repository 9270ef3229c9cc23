"""The settings in effect as text, without secrets."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config import redis_url
from gateway.config.settings import Settings, known_settings
from httpapi.service_keys import ALL_SCOPES, parse_key
from storage.database import database_url

HIDDEN: Final = "(hidden)"
NONE: Final = "(none)"
_URLS: Final = frozenset({"amqp_url", "jwks_url", "password_reset_hook", "echo_proxy_url"})


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """A setting by its name in the environment, and its value without secrets."""

    name: str
    value: str


def effective(settings: Settings) -> Iterator[EffectiveSetting]:
    """Every setting, in the order of the README.

    Of URLs that may hold a password only the scheme and the hosts are shown, of service keys the names and scopes; what
    else is secret is HIDDEN if it is set.
    """
    for known in known_settings():
        value = getattr(settings, known.name)
        yield EffectiveSetting(
            known.name.upper(), _secret(known.name, value) if known.metadata["secret"] else _text(value)
        )


def _secret(name: str, value: Any) -> str:
    if not value:
        return NONE
    if name == "database_url":
        return str(database_url.parse(value))
    if name == "redis_url":
        return " ".join(map(redis_url.whereabouts, redis_url.split(value)))
    if name == "service_keys":
        return " ".join(map(_service, value))
    if name in _URLS:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return HIDDEN


def _service(text: str) -> str:
    key = parse_key(text)
    scopes = "+".join(sorted(key.scopes)) if key.scopes != ALL_SCOPES else "all scopes"
    return f"{key.name} ({scopes})"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or NONE
    return NONE if value is None or value == "" else str(value)
