"""Direct routing agrees with Starlette's router, and leaves to it what is not plain."""

import random
from typing import Any, cast
from urllib.parse import unquote

import pytest
from starlette.routing import Match, Router

from gateway.endpoints.direct_routes import DirectRoutes, FamilyRoute
from gateway.routes import web_socket_routes

UNUSED = cast("Any", None)
ROUTES = web_socket_routes(
    UNUSED,
    chat=UNUSED,
    service=UNUSED,
    support=UNUSED,
    echo=UNUSED,
    room=UNUSED,
    public=UNUSED,
    client=UNUSED,
    stream=cast("Any", object()),
)
DIRECT = DirectRoutes(Router(), ROUTES, (), lambda app: app)
PARTS = [
    "/",
    "ws",
    "chat",
    "service-chats",
    "support-chats",
    "updates",
    "channels",
    "echo",
    "public",
    "5",
    "a_b-C",
    "%35",
]
PARTS += ["%2F", ".", "..", "é", "//", "%0A", "x" * 300]


def scope_of(raw: str) -> dict[str, Any]:
    return {"type": "websocket", "path": unquote(raw), "raw_path": raw.encode(), "root_path": "", "headers": []}


def by_starlette(raw: str) -> tuple[object, object] | None:
    """The first route that matches, with its parameters."""
    for route in ROUTES:
        match, found = route.matches(scope_of(raw))
        if match is Match.FULL:
            return route, found["path_params"]
    return None


def direct(raw: str) -> tuple[object, object] | None:
    scope = scope_of(raw)
    route = DIRECT._find(scope)
    return None if route is None else (scope["route"], scope["path_params"])


@pytest.mark.parametrize(
    "path",
    [
        "/ws/chat/5",
        "/ws/chat/5/",
        "/ws/service-chats/5/",
        "/ws/support-chats/5",
        "/ws/phone",
        "/ws/chat",
        "/channels/echo",
        "/channels/public/",
        "/updates/room-1",
    ],
)
def test_plain_url_of_each_family_is_routed_directly(path: str) -> None:
    found = direct(path)
    assert found is not None
    assert found == by_starlette(path)


def test_no_url_is_routed_otherwise_than_by_starlette() -> None:
    chance = random.Random(3)
    routed = 0
    for _ in range(20_000):
        path = "/" + "/".join(chance.choice(PARTS) for _ in range(chance.randint(0, 4))) + chance.choice(("", "/"))
        found = direct(path)
        if found is not None:
            routed += 1
            assert found == by_starlette(path), path
    assert routed > 100
    assert all(isinstance(route, FamilyRoute) for route in DIRECT._fixed.values())
