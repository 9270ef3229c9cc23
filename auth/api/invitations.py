"""Invitations over HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, NotRequired, TypedDict

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.accounts.rules import LOGIN_PATTERN
from auth.api import problems
from auth.api.answers import api_route, json_answer
from auth.credentials.invitations import InvitationIssuer
from httpapi.body import SMALL_BODY_BYTES, read_json
from httpapi.operation import Audience, Scope, operation
from httpapi.service_keys import ServiceKeys
from httpapi.site import Site

DAY_S: Final = 24 * 3600
_ANY_OR_LOGIN: Final = {"pattern": f"^$|{LOGIN_PATTERN}"}


class NewInvitation(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /api/v1/invitations`: for one login, or for any."""

    login: Annotated[str, msgspec.Meta(extra_json_schema=_ANY_OR_LOGIN)] = ""
    expires_in_s: Annotated[int, msgspec.Meta(ge=60, le=90 * DAY_S)] = 7 * DAY_S


class CreatedInvitation(TypedDict):
    """An invitation, and the URL of the page's form if the site knows its own."""

    invitation: str
    expires_at: datetime
    url: NotRequired[str]


class InvitationRoutes:
    """`/api/v1/invitations`."""

    def __init__(self, invitations: InvitationIssuer, service_keys: ServiceKeys, site: Site) -> None:
        self._invitations = invitations
        self._service_keys = service_keys
        self._site = site

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Implement `RouteGroup.routes`."""
        return [api_route("/api/v1/invitations", POST=self.create)]

    @operation(
        "Create an invitation, with which one account can be registered.",
        Audience.SERVICE,
        {201: CreatedInvitation},
        {503: "unavailable"},
        body=NewInvitation,
        example={"login": "ann", "expires_in_s": 86400},
        details="For one `login`, or without one for any. `POST /register` uses it up, once; with REGISTRATION=invite "
        "every registration needs one.",
        scope=Scope.USERS,
    )
    async def create(self, request: Request) -> Response:
        """201 with the invitation, which no other response contains."""
        service = self._service_keys.require(request, self.create)
        new = await read_json(request, NewInvitation, SMALL_BODY_BYTES)
        invited = await self._invitations.create(service.name, new.login, new.expires_in_s)
        if isinstance(invited, list):
            raise problems.broken_rules(invited)
        content: CreatedInvitation = {
            "invitation": invited.token,
            "expires_at": datetime.fromtimestamp(invited.expires_at, UTC),
        }
        if url := self._site.url(request):
            content["url"] = f"{url}/?invitation={invited.token}"
        return json_answer(content, HTTPStatus.CREATED)
