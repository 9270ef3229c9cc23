"""Service keys: names, scopes, and what is logged of them."""

import logging
from typing import Any

import pytest
from starlette.requests import Request

from httpapi.errors import InvalidServiceKey, Problem
from httpapi.operation import Audience, Scope, operation
from httpapi.service_keys import ALL_SCOPES, UNNAMED, ServiceKeys, parse_key, parse_keys


@operation("Do something.", Audience.SERVICE, {204: None}, scope=Scope.CHATS)
async def endpoint() -> None:
    """An operation for services."""


def request(key: str | None) -> Request:
    headers = [] if key is None else [(b"x-service-key", key.encode())]
    return Request({"type": "http", "headers": headers})


def test_entry_names_key_and_scopes() -> None:
    bank = parse_key("bank:k1:users+chats")
    assert (bank.name, bank.key, bank.scopes) == ("bank", "k1", {Scope.USERS, Scope.CHATS})
    assert (parse_key("bank:k1").name, parse_key("bank:k1").scopes) == ("bank", ALL_SCOPES)
    assert (parse_key("k1").name, parse_key("k1").scopes) == (UNNAMED, ALL_SCOPES)


@pytest.mark.parametrize(
    "text", ["a:", ":k", "a:k:", "a:k:own", "a:k:users+", "a:k:users:x", "ä:k", "unnamed:k", "a" * 41 + ":k"]
)
def test_entry_of_another_form_is_invalid(text: str) -> None:
    with pytest.raises(InvalidServiceKey):
        parse_key(text)


def test_name_may_be_shared_and_key_may_not() -> None:
    assert len(parse_keys(["bank:old", "bank:new"])) == 2
    with pytest.raises(InvalidServiceKey):
        parse_keys(["bank:k", "shop:k"])


def test_key_with_scope_is_allowed_and_counted_by_name() -> None:
    calls: list[tuple[str, bool]] = []
    keys = ServiceKeys(["bank:k1:chats", "k2"], lambda name, is_allowed: calls.append((name, is_allowed)))
    assert keys.require(request("k1"), endpoint).name == "bank"
    assert keys.require(request("k2"), endpoint).name == UNNAMED
    assert calls == [("bank", True), (UNNAMED, True)]


def test_key_without_scope_is_forbidden_and_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[tuple[str, bool]] = []
    keys = ServiceKeys(
        ["bank:secret-of-bank:users+messages"], lambda name, is_allowed: calls.append((name, is_allowed))
    )
    with caplog.at_level(logging.INFO), pytest.raises(Problem, match="forbidden") as rejected:
        keys.require(request("secret-of-bank"), endpoint)
    assert "`chats`" in rejected.value.detail
    assert calls == [("bank", False)]
    (record,) = caplog.records
    fields: dict[str, Any] = vars(record)["fields"]
    assert fields == {"service": "bank", "scope": "chats"}
    assert "secret-of-bank" not in rejected.value.detail + repr(parse_key("bank:secret-of-bank"))


@pytest.mark.parametrize("key", [None, "", "k", "k11", "bank:k1:chats"])
def test_other_key_is_forbidden(key: str | None) -> None:
    keys = ServiceKeys(["bank:k1:chats"])
    assert keys.find(request(key)) is None
    with pytest.raises(Problem, match="forbidden"):
        keys.require(request(key), endpoint)
    assert ServiceKeys([]).find(request(key)) is None
