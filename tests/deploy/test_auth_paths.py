"""The URLs of auth in every load balancer configuration are exactly those that auth serves."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from starlette.routing import Route

from auth.api.answers import RouteGroup
from auth.api.invitations import InvitationRoutes
from auth.api.own_sessions import OwnSessionRoutes
from auth.api.passwords import PasswordRoutes
from auth.api.routes import AuthRoutes
from auth.api.sessions import SessionRoutes
from auth.api.totp import TotpRoutes
from auth.settings import AuthSettings
from tests.deploy.programs import ROOT, Object, charted, kustomized, one

HOST = {
    "ingress": {"enabled": True, "host": "chat.example.com"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "web"}]},
}


BELOW = "/*"
"""Ends a URL that has others below it, as in docs/deploy.md."""


def _served() -> set[str]:
    nothing = cast(Any, None)  # making the routes asks nothing of what answers them
    settings = AuthSettings()
    groups: list[RouteGroup] = [
        SessionRoutes(nothing, nothing, nothing, settings.site),
        PasswordRoutes(nothing, nothing, nothing, ()),
        TotpRoutes(nothing, nothing, ()),
        OwnSessionRoutes(nothing, nothing),
        InvitationRoutes(nothing, nothing, nothing),
    ]
    routes = AuthRoutes(nothing, nothing, groups, nothing, nothing, nothing, nothing, nothing, settings).routes()
    paths = {route.path for route in routes if isinstance(route, Route)}
    prefixes = {path.partition("/{")[0] for path in paths if "{" in path}
    return {path for path in paths if "{" not in path} - prefixes | {path + BELOW for path in prefixes}


def _of_ingress(ingress: Object) -> set[str]:
    (rule,) = ingress["spec"]["rules"]
    paths = [each for each in rule["http"]["paths"] if each["backend"]["service"]["name"].endswith("-auth")]
    return {each["path"] + BELOW * (each["pathType"] == "Prefix") for each in paths}


def _of_route(route: Object) -> set[str]:
    rule, _ = route["spec"]["rules"]
    paths = [match["path"] for match in rule["matches"]]
    return {each["value"] + BELOW * (each["type"] == "PathPrefix") for each in paths}


def _of_nginx() -> set[str]:
    config = (ROOT / "deploy/nginx/chat.conf.template").read_text()
    (words,) = re.findall(r"location ~ \^/\((.*?)\)\$ \{\s+proxy_pass http://auth;", config)
    return {"/" + word.replace("(?:/[^/]+)?", BELOW).replace("\\", "") for word in words.split("|")}


def _of_the_page() -> set[str]:
    (line,) = re.findall(
        r"\*\*Auth's URLs\*\* go to auth: (.*?)\. All", (ROOT / "docs/deploy.md").read_text(), re.DOTALL
    )
    return set(re.findall(r"`(/[^`]+)`", line))


WHERE: dict[str, Callable[[], set[str]]] = {
    "chart, Ingress": lambda: _of_ingress(one(charted(HOST), "Ingress", "demo-chat-gateway")),
    "chart, HTTPRoute": lambda: _of_route(one(charted(HOST), "HTTPRoute", "demo-chat-gateway")),
    "k8s, nginx": lambda: _of_ingress(one(kustomized("k8s/components/ingress-nginx"), "Ingress", "chat-gateway")),
    "k8s, HAProxy": lambda: _of_ingress(one(kustomized("k8s/components/ingress-haproxy"), "Ingress", "chat-gateway")),
    "k8s, HTTPRoute": lambda: _of_route(one(kustomized("k8s/components/httproute"), "HTTPRoute", "chat-gateway")),
    "compose": _of_nginx,
    "docs/deploy.md": _of_the_page,
}


@pytest.mark.parametrize("where", WHERE)
def test_auth_paths_are_routed_to_auth(where: str) -> None:
    assert WHERE[where]() == _served()
