"""Seed 003's links: the URL of a WebSocket with a one-use ticket."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.schemas import TicketUrl, answer
from gateway.authentication.authenticator import Authenticator
from gateway.http.problems import unknown_host
from gateway.interfaces.tickets import Tickets
from httpapi.operation import TOKEN_PARAMETER, Audience, operation
from httpapi.site import Site

ECHO = "/channels/echo"
PUBLIC = "/channels/public"


class LinkRoutes:
    """`/echo_ws` and `/pub_ws`."""

    def __init__(self, identity: Authenticator, tickets: Tickets, site: Site) -> None:
        self._identity = identity
        self._tickets = tickets
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [Route("/echo_ws", self._echo, methods=["GET"]), Route("/pub_ws", self._public, methods=["GET"])]

    @operation(
        "Get the echo channel's URL with a one-use ticket.",
        Audience.USER,
        {200: TicketUrl},
        {421: "unknown_host"},
    )
    async def _echo(self, request: Request) -> Response:
        return await self._link(request, ECHO)

    @operation(
        "Get the public channel's URL with a one-use ticket.",
        Audience.USER,
        {200: TicketUrl},
        {421: "unknown_host"},
    )
    async def _public(self, request: Request) -> Response:
        return await self._link(request, PUBLIC)

    async def _link(self, request: Request, path: str) -> Response:
        caller = await self._identity.caller(request)
        base = self._site.url(request)
        if base is None:
            raise unknown_host()
        ticket = await self._tickets.issue(caller.credential)
        return answer({"url": f"ws{base.removeprefix('http')}{path}?{urlencode({TOKEN_PARAMETER: ticket})}"})
