"""Where a token may stand, and which one counts."""

import pytest

from gateway.credentials import Ambiguous, Credentials, NoCredentials, Source, find_credentials
from tests.gateway.requests import connection

HEADER = ("Authorization", "Bearer t1")
COOKIE = ("Cookie", "access_token=t1")


def test_a_token_is_found_wherever_it_may_stand() -> None:
    assert find_credentials(connection(HEADER)) == Credentials("t1", Source.HEADER)
    assert find_credentials(connection(query=[("token", "t1")])) == Credentials("t1", Source.QUERY)
    assert find_credentials(connection(COOKIE)) == Credentials("t1", Source.COOKIE)
    offered = connection(kind="websocket", subprotocols=["bearer", "t1"])
    assert find_credentials(offered) == Credentials("t1", Source.SUBPROTOCOL, "bearer")


def test_only_the_cookie_is_sent_by_habit() -> None:
    assert [source for source in Source if not Credentials("t", source).is_explicit] == [Source.COOKIE]


@pytest.mark.parametrize("value", ["bearer t1", "BEARER t1", "Bearer   t1", "Bearer t1 "])
def test_the_scheme_is_read_as_rfc_7235_says(value: str) -> None:
    assert find_credentials(connection(("Authorization", value))) == Credentials("t1", Source.HEADER)


@pytest.mark.parametrize("value", ["", "t1", "Bearer", "Bearer ", "Basic t1", "Bearert1", "\tBearer t1"])
def test_what_is_no_bearer_token_is_none(value: str) -> None:
    assert find_credentials(connection(("Authorization", value))) == NoCredentials()


@pytest.mark.parametrize("offered", [[], ["bearer"], ["t1"], ["chat", "t1"], ["t1", "bearer"], ["bearer", ""]])
def test_a_subprotocol_without_its_pair_is_no_token(offered: list[str]) -> None:
    assert find_credentials(connection(kind="websocket", subprotocols=offered)) == NoCredentials()


def test_the_pair_may_stand_among_other_subprotocols_and_bearer_is_the_answer() -> None:
    offered = connection(kind="websocket", subprotocols=["v1.chat", "bearer", "t1", "v2.chat"])
    assert find_credentials(offered) == Credentials("t1", Source.SUBPROTOCOL, "bearer")


def test_the_pair_is_answered_though_the_token_also_came_otherwise() -> None:
    offered = connection(HEADER, kind="websocket", subprotocols=["bearer", "t1"])
    assert find_credentials(offered) == Credentials("t1", Source.HEADER, "bearer")


def test_the_same_token_twice_is_one_token() -> None:
    assert find_credentials(connection(HEADER, HEADER, query=[("token", "t1")])) == Credentials("t1", Source.HEADER)


def test_two_different_explicit_tokens_are_ambiguous() -> None:
    assert find_credentials(connection(HEADER, query=[("token", "t2")])) == Ambiguous()
    assert find_credentials(connection(HEADER, ("Authorization", "Bearer t2"))) == Ambiguous()
    assert find_credentials(connection(query=[("token", "t1"), ("token", "t2")])) == Ambiguous()
    assert find_credentials(connection(HEADER, kind="websocket", subprotocols=["bearer", "t2"])) == Ambiguous()


def test_the_cookie_is_ignored_beside_an_explicit_token() -> None:
    found = find_credentials(connection(("Cookie", "access_token=mine"), query=[("token", "t1")]))
    assert found == Credentials("t1", Source.QUERY)


def test_an_empty_token_is_none() -> None:
    assert find_credentials(connection(query=[("token", "")])) == NoCredentials()
    assert find_credentials(connection(("Cookie", "access_token="))) == NoCredentials()
    assert find_credentials(connection(COOKIE, query=[("token", "")])) == Credentials("t1", Source.COOKIE)


def test_a_token_is_in_no_representation() -> None:
    assert "t1" not in repr(Credentials("t1", Source.HEADER)) + str(Credentials("t1", Source.QUERY))
