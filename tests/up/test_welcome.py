"""What `up` prints."""

import pytest

from gateway.settings import parse
from gateway.up.welcome import welcome


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:hunter2@a:1/0,rediss://u:hunter2@b/1", "redis://a:1/0, rediss://b/1"),
        ("redis+cluster://u:hunter2@a:1,b:2", "redis+cluster://a:1,b:2"),
        ("", "its own, gone with Ctrl+C"),
    ],
)
def test_it_says_where_redis_is_and_no_password(url: str, told: str) -> None:
    text = welcome(parse({"APP_ENV": "development"} | ({"REDIS_URL": url} if url else {})), [8101])
    assert f"redis      {told}\n" in text
    assert "hunter2" not in text
