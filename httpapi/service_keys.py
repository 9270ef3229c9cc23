"""Keys with which other services authenticate, in the header `X-Service-Key`; each has a name and scopes."""

import hmac
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request

from httpapi.audit.facts import note_service
from httpapi.errors import InvalidServiceKey, Problem
from httpapi.operation import Operation, Scope

logger = logging.getLogger("httpapi")

UNNAMED: Final = "unnamed"
"""The name of keys that SERVICE_KEYS gives none."""
ALL_SCOPES: Final = frozenset(Scope)

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key that a service has been given. Logs and metrics contain its name only."""

    name: str
    key: str = field(repr=False)
    scopes: frozenset[Scope] = ALL_SCOPES


def parse_key(text: str) -> ServiceKey:
    """One entry of SERVICE_KEYS: `name:key`, `name:key:scope+scope`, or a bare key; without scopes it has all.

    Raises: InvalidServiceKey.
    """
    name, *rest = text.split(":")
    if not rest:
        return ServiceKey(UNNAMED, name)
    if len(rest) > 2 or not rest[0] or name == UNNAMED or not _NAME.fullmatch(name):
        raise InvalidServiceKey
    if len(rest) == 1:
        return ServiceKey(name, rest[0])
    try:
        return ServiceKey(name, rest[0], frozenset(map(Scope, rest[1].split("+"))))
    except ValueError:
        raise InvalidServiceKey from None


def parse_keys(texts: Sequence[str]) -> list[ServiceKey]:
    """All entries of SERVICE_KEYS; two named keys may share a name, so that one can replace the other.

    Raises: InvalidServiceKey, also for two entries with the same key.
    """
    keys = [parse_key(text) for text in texts]
    if len({key.key for key in keys}) < len(keys):
        raise InvalidServiceKey
    return keys


class ServiceKeys:
    """The keys in SERVICE_KEYS; if it is empty, every key is rejected. `on_call(name, is_allowed)` counts calls."""

    def __init__(self, keys: Sequence[str], on_call: Callable[[str, bool], None] = lambda *_: None) -> None:
        self._keys = [(key, key.key.encode()) for key in parse_keys(keys)]
        self._on_call = on_call

    @property
    def names(self) -> list[str]:
        """The name of every key, each once."""
        return list(dict.fromkeys(key.name for key, _ in self._keys))

    def find(self, request: Request) -> ServiceKey | None:
        """The key of the request, if it is valid; the time taken does not depend on which key matches."""
        offered = request.headers.get("x-service-key", "").encode("latin-1")
        found = None
        for key, expected in self._keys:
            if hmac.compare_digest(offered, expected):
                found = key
        return found

    def require(self, request: Request, endpoint: Callable[..., Any]) -> ServiceKey:
        """The key of the request, which has the scope that the endpoint's operation declares.

        Raises: Problem (403).
        """
        key = self.find(request)
        if key is None:
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "A service key is needed (X-Service-Key).")
        operation: Operation = endpoint.operation  # type: ignore[attr-defined]
        note_service(key.name)
        is_allowed = operation.scope in key.scopes
        self._on_call(key.name, is_allowed)
        if not is_allowed:
            logger.info("scope_missing", extra={"fields": {"service": key.name, "scope": operation.scope}})
            detail = f"The service key does not have the scope `{operation.scope}`."
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)
        return key
