"""Seed 003's links: where a WebSocket is to be opened, with a ticket that lets in once."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from gateway.credentials import QUERY
from gateway.http.answers import answer
from gateway.http.shapes import Link
from gateway.identity import Identity
from gateway.tickets import Tickets

ECHO = "/channels/echo"
PUBLIC = "/channels/public"


class LinkRoutes:
    """`/echo_ws` and `/pub_ws`. `public_url` is where clients find this gateway; "" for where they found it now."""

    def __init__(self, identity: Identity, tickets: Tickets, public_url: str) -> None:
        self._identity = identity
        self._tickets = tickets
        self._public_url = public_url

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [Route("/echo_ws", self._echo, methods=["GET"]), Route("/pub_ws", self._public, methods=["GET"])]

    @operation("A link to the echo channel.", Caller.USER, {200: Link})
    async def _echo(self, request: Request) -> Response:
        return await self._link(request, ECHO)

    @operation("A link to the public channel.", Caller.USER, {200: Link})
    async def _public(self, request: Request) -> Response:
        return await self._link(request, PUBLIC)

    async def _link(self, request: Request, path: str) -> Response:
        caller = await self._identity.caller(request)
        ticket = await self._tickets.issue(caller.person.id, caller.expires_at)
        return answer({"url": f"{self._base(request)}{path}?{urlencode({QUERY: ticket})}"})

    def _base(self, request: Request) -> str:
        """The gateway's root for WebSockets. A trusted proxy's word on the scheme is in the request's URL already."""
        base = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
        return "ws" + base.removeprefix("http")
