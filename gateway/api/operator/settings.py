"""The effective settings of a replica over HTTP, for operators. Secrets are never in a response."""

from typing import TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import answer
from gateway.config.effective import effective
from gateway.config.settings import Settings, known_settings
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys


class SettingObject(TypedDict):
    """A setting by its name in the environment; `value` is `(none)` if it is empty, and `(hidden)` for a secret."""

    name: str
    meaning: str
    value: str
    is_default: bool


class SettingList(TypedDict):
    """The settings of the replica `answered_by`, in the order of the README's table."""

    answered_by: str
    settings: list[SettingObject]


class SettingRoutes:
    """`/api/v1/settings`."""

    def __init__(self, service_keys: ServiceKeys, settings: Settings, node_id: str) -> None:
        self._service_keys = service_keys
        self._settings = settings
        self._node_id = node_id

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/settings", GET=self._list)]

    @operation(
        "List the settings that the replica uses, without secrets.",
        Audience.SERVICE,
        {200: SettingList},
        details="Of URLs that may hold a password only the scheme and the hosts are shown, of service keys the names "
        "and scopes. Defaults that depend on other settings are those in effect, and count as set.",
        scope=Scope.ADMIN,
    )
    async def _list(self, request: Request) -> Response:
        self._service_keys.require(request, self._list)
        return answer(SettingList(answered_by=self._node_id, settings=_objects(self._settings)))


def _objects(settings: Settings) -> list[SettingObject]:
    return [
        {
            "name": shown.name,
            "meaning": known.metadata["meaning"],
            "value": shown.value,
            "is_default": getattr(settings, known.name) == known.default,
        }
        for known, shown in zip(known_settings(), effective(settings), strict=True)
    ]
