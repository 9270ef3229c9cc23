"""The output of `up`."""

import pytest

from gateway.config.validation import parse
from gateway.up.welcome import welcome


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:hunter2@a:1/0,rediss://u:hunter2@b/1", "redis://a:1/0, rediss://b/1"),
        ("redis+cluster://u:hunter2@a:1,b:2", "redis+cluster://a:1,b:2"),
        ("", "its own, gone with Ctrl+C"),
    ],
)
def test_welcome_shows_redis_location_without_password(url: str, told: str) -> None:
    text = welcome(parse({"APP_ENV": "development"} | ({"REDIS_URL": url} if url else {})), [8101])
    assert f"redis      {told}\n" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("::1", "[::1]"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("::", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("chat.local", "chat.local"),
    ],
)
def test_ipv6_address_is_printed_in_brackets(host: str, shown: str) -> None:
    text = welcome(parse({"APP_ENV": "development", "APP_HOST": host}), [8101])
    assert f"is up: http://{shown}:8000\n" in text
    assert f"replicas   http://{shown}:8101\n" in text
    assert f"open http://{shown}:8000/docs" in text


def test_welcome_reports_unusable_redis() -> None:
    settings = parse({"APP_ENV": "development", "REDIS_URL": "redis://a:1/0"})
    assert "redis      redis://a:1/0\n               NOT USABLE: it does not answer (REDIS_URL)\n" in welcome(
        settings, [8101], "it does not answer"
    )


def test_unusable_redis_names_its_setting_and_offers_no_chat() -> None:
    settings = parse({"APP_ENV": "development", "REDIS_URL": "redis://a:1/0"})
    reason = "Redis rejects the user or password of REDIS_URL (WRONGPASS)"
    text = welcome(settings, [8101], reason)
    assert f"NOT USABLE: {reason}\n" in text
    assert "and talk" not in text
    assert "set REDIS_URL to a Redis that can be used" in text
    assert "and talk" in welcome(settings, [8101])
