"""The URL of Sentinels, part by part."""

import pytest

from gateway.sentinel_url import SentinelUrl


def test_it_names_sentinels_a_service_and_a_database() -> None:
    url = SentinelUrl.parse("redis+sentinel://us%40er:p%2Fw@a:1,b,[::1]:3/my%20chat/2")
    assert url is not None
    assert (url.hosts, url.service) == (("a:1", "b:26379", "[::1]:3"), "my chat")
    assert url.redis("10.0.0.1", 6379) == "redis://us%40er:p%2Fw@10.0.0.1:6379/2?"
    assert url.redis("::1", 6379) == "redis://us%40er:p%2Fw@[::1]:6379/2?"


def test_sentinels_get_the_password_and_not_the_user() -> None:
    url = SentinelUrl.parse("rediss+sentinel://user:pw@a:1,b:2/chat?ssl_ca_certs=/ca.pem")
    assert url is not None
    assert url.sentinels == [f"rediss://default:pw@{host}/?ssl_ca_certs=/ca.pem" for host in ("a:1", "b:2")]
    assert "pw" not in repr(url)


def test_without_a_password_nobody_gets_one() -> None:
    url = SentinelUrl.parse("redis+sentinel://a/chat")
    assert url is not None
    assert (url.sentinels, url.redis("b", 1)) == (["redis://a:26379/?"], "redis://b:1/0?")


def test_another_scheme_is_not_a_sentinels() -> None:
    assert SentinelUrl.parse("redis://localhost/0") is None


@pytest.mark.parametrize(
    "rest",
    ["", "/chat", "a", "a/", "a,/chat", ",a/chat", "a:0/chat", "a:x/chat", "a:99999/chat", "a/chat/x", "[a/chat"],
)
def test_what_is_no_such_url_is_told_how_one_looks(rest: str) -> None:
    with pytest.raises(ValueError, match=r"^like redis\+sentinel://"):
        SentinelUrl.parse(f"redis+sentinel://{rest}")
