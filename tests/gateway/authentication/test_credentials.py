"""The places of a token in a request, and their precedence."""

import time

import pytest

from gateway.authentication.credentials import (
    Ambiguous,
    Credentials,
    NoCredentials,
    Source,
    find_credentials,
    offered_bearer,
)
from httpapi.token_cookie import MAX_COOKIES
from tests.gateway.requests import connection

HEADER = ("Authorization", "Bearer t1")
COOKIE = ("Cookie", "access_token=t1")


def test_token_is_found_in_every_place() -> None:
    assert find_credentials(connection(HEADER)) == Credentials("t1", Source.HEADER)
    assert find_credentials(connection(query=[("token", "t1")])) == Credentials("t1", Source.QUERY)
    assert find_credentials(connection(COOKIE)) == Credentials("t1", Source.COOKIE)
    offered = connection(kind="websocket", subprotocols=["bearer", "t1"])
    assert find_credentials(offered) == Credentials("t1", Source.SUBPROTOCOL, "bearer")


def test_only_cookie_is_an_implicit_credential() -> None:
    assert [source for source in Source if not Credentials("t", source).is_explicit] == [Source.COOKIE]


@pytest.mark.parametrize("value", ["bearer t1", "BEARER t1", "Bearer   t1", "Bearer t1 "])
def test_authorization_scheme_is_read_as_in_rfc_7235(value: str) -> None:
    assert find_credentials(connection(("Authorization", value))) == Credentials("t1", Source.HEADER)


@pytest.mark.parametrize("value", ["", "t1", "Bearer", "Bearer ", "Basic t1", "Bearert1", "\tBearer t1"])
def test_other_authorization_is_no_credential(value: str) -> None:
    assert find_credentials(connection(("Authorization", value))) == NoCredentials()


@pytest.mark.parametrize("offered", [[], ["bearer"], ["t1"], ["chat", "t1"], ["t1", "bearer"], ["bearer", ""]])
def test_bearer_subprotocol_without_token_is_no_credential(offered: list[str]) -> None:
    assert find_credentials(connection(kind="websocket", subprotocols=offered)) == NoCredentials()


def test_bearer_among_other_subprotocols_is_selected() -> None:
    offered = connection(kind="websocket", subprotocols=["v1.chat", "bearer", "t1", "v2.chat"])
    assert find_credentials(offered) == Credentials("t1", Source.SUBPROTOCOL, "bearer")


def test_bearer_is_selected_even_if_header_has_token() -> None:
    offered = connection(HEADER, kind="websocket", subprotocols=["bearer", "t1"])
    assert find_credentials(offered) == Credentials("t1", Source.HEADER, "bearer")


@pytest.mark.parametrize("word", ["Bearer", "BEARER", "bEaReR"])
def test_bearer_subprotocol_is_selected_as_the_client_wrote_it(word: str) -> None:
    offered = connection(kind="websocket", subprotocols=["v1.chat", word, "t1"])
    assert find_credentials(offered) == Credentials("t1", Source.SUBPROTOCOL, word)
    assert offered_bearer(offered) == word


def test_bearer_subprotocol_is_selected_only_if_offered() -> None:
    assert offered_bearer(connection(kind="websocket", subprotocols=["v1.chat", "t1"])) is None
    assert offered_bearer(connection(kind="websocket")) is None
    assert offered_bearer(connection()) is None


def test_several_cookies_are_candidates_in_order() -> None:
    two = connection(("Cookie", 'a=1; access_token=t1; access_token="t2"'), ("Cookie", "access_token=t3"))
    assert find_credentials(two) == Credentials("t1", Source.COOKIE, others=("t2", "t3"))
    same = connection(("Cookie", "access_token=t1; access_token=; access_token=t1"))
    assert find_credentials(same) == Credentials("t1", Source.COOKIE)


def test_number_of_tried_cookies_is_bounded() -> None:
    many = connection(("Cookie", "; ".join(f"access_token=t{number}" for number in range(100))))
    found = find_credentials(many)
    assert isinstance(found, Credentials)
    assert found.candidates == tuple(f"t{number}" for number in range(MAX_COOKIES))


def test_64_kib_of_cookies_are_read_within_10_ms() -> None:
    for hostile in ("access_token=;", ";", "access_token=x;", "access_token", "=", '"'):
        header = connection(("Cookie", hostile * (65_536 // len(hostile))))
        started = time.process_time()
        find_credentials(header)
        assert time.process_time() - started < 0.01, hostile


def test_same_token_twice_is_one_credential() -> None:
    assert find_credentials(connection(HEADER, HEADER, query=[("token", "t1")])) == Credentials("t1", Source.HEADER)


def test_two_different_explicit_tokens_are_ambiguous() -> None:
    assert find_credentials(connection(HEADER, query=[("token", "t2")])) == Ambiguous()
    assert find_credentials(connection(HEADER, ("Authorization", "Bearer t2"))) == Ambiguous()
    assert find_credentials(connection(query=[("token", "t1"), ("token", "t2")])) == Ambiguous()
    assert find_credentials(connection(HEADER, kind="websocket", subprotocols=["bearer", "t2"])) == Ambiguous()


def test_cookie_is_ignored_beside_explicit_token() -> None:
    found = find_credentials(connection(("Cookie", "access_token=mine"), query=[("token", "t1")]))
    assert found == Credentials("t1", Source.QUERY)


def test_empty_token_is_no_credential() -> None:
    assert find_credentials(connection(query=[("token", "")])) == NoCredentials()
    assert find_credentials(connection(("Cookie", "access_token="))) == NoCredentials()
    assert find_credentials(connection(COOKIE, query=[("token", "")])) == Credentials("t1", Source.COOKIE)


def test_repr_hides_token() -> None:
    assert "t1" not in repr(Credentials("t1", Source.HEADER)) + str(Credentials("t1", Source.QUERY))
