"""The parts of a Sentinel URL."""

import pytest

from gateway.config.redis_url import SentinelUrl


def test_sentinel_url_has_hosts_service_and_database() -> None:
    url = SentinelUrl.parse("redis+sentinel://us%40er:p%2Fw@a:1,b,[::1]:3/my%20chat/2")
    assert url is not None
    assert (url.hosts, url.service) == (("a:1", "b:26379", "[::1]:3"), "my chat")
    assert url.redis("10.0.0.1", 6379) == "redis://us%40er:p%2Fw@10.0.0.1:6379/2?"
    assert url.redis("::1", 6379) == "redis://us%40er:p%2Fw@[::1]:6379/2?"


def test_sentinels_get_password_without_user() -> None:
    url = SentinelUrl.parse("rediss+sentinel://user:pw@a:1,b:2/chat?ssl_ca_certs=/ca.pem")
    assert url is not None
    assert url.sentinels == [f"rediss://default:pw@{host}/?ssl_ca_certs=/ca.pem" for host in ("a:1", "b:2")]
    assert "pw" not in repr(url)


def test_empty_port_of_a_sentinel_is_the_default() -> None:
    url = SentinelUrl.parse("redis+sentinel://a:,b/chat")
    assert url is not None
    assert url.hosts == ("a:26379", "b:26379")
    with pytest.raises(ValueError, match="like redis"):
        SentinelUrl.parse("redis+sentinel://a::/chat")


def test_url_without_password_sends_none() -> None:
    url = SentinelUrl.parse("redis+sentinel://a/chat")
    assert url is not None
    assert (url.sentinels, url.redis("b", 1)) == (["redis://a:26379/?"], "redis://b:1/0?")


def test_other_scheme_is_no_sentinel_url() -> None:
    assert SentinelUrl.parse("redis://localhost/0") is None


@pytest.mark.parametrize(
    "rest",
    ["", "/chat", "a", "a/", "a,/chat", ",a/chat", "a:0/chat", "a:x/chat", "a:99999/chat", "a/chat/x", "[a/chat"],
)
def test_invalid_sentinel_url_error_shows_an_example(rest: str) -> None:
    with pytest.raises(ValueError, match=r"^like redis\+sentinel://"):
        SentinelUrl.parse(f"redis+sentinel://{rest}")


def test_sentinels_can_have_separate_user_and_password() -> None:
    url = SentinelUrl.parse(
        "redis+sentinel://us:pw@a:1/chat/2?sentinel_username=s%40n&socket_timeout=1&sentinel_password=p%2Fw%2B"
    )
    assert url is not None
    assert url.sentinels == ["redis://s%40n:p%2Fw%2B@a:1/?socket_timeout=1"]
    assert url.redis("b", 1) == "redis://us:pw@b:1/2?socket_timeout=1"
    assert "p%2Fw" not in repr(url) and "p/w" not in repr(url)


def test_empty_sentinel_password_sends_none_to_sentinels() -> None:
    url = SentinelUrl.parse("redis+sentinel://us:pw@a:1/chat?sentinel_password=")
    assert url is not None
    assert url.sentinels == ["redis://a:1/?"]


def test_encoded_password_reaches_sentinels_unchanged() -> None:
    url = SentinelUrl.parse("redis+sentinel://:p%40w@a:1/chat")
    assert url is not None
    assert url.sentinels == ["redis://default:p%40w@a:1/?"]
