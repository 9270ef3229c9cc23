"""The check of a webhook's signature accepts what the gateway signs, and nothing else."""

import time

import pytest
from chat_gateway_client import is_signed

from httpapi.outgoing.signed_post import signature

BODY = b'{"events":[]}'


def test_signature_of_the_gateway_is_accepted() -> None:
    assert is_signed(signature("secret", int(time.time()), BODY), BODY, "secret")


@pytest.mark.parametrize(
    ("header", "body", "secret"),
    [
        (signature("other", int(time.time()), BODY), BODY, "secret"),
        (signature("secret", int(time.time()), BODY), BODY + b" ", "secret"),
        (signature("secret", int(time.time()) - 301, BODY), BODY, "secret"),
        (signature("secret", int(time.time()) + 400, BODY), BODY, "secret"),
        (None, BODY, "secret"),
        ("", BODY, "secret"),
        ("t=,v1=", BODY, "secret"),
        ("t=٣,v1=00", BODY, "secret"),
        (f"t={int(time.time())},v1=ü", BODY, "secret"),
    ],
)
def test_any_other_signature_is_rejected(header: str | None, body: bytes, secret: str) -> None:
    assert not is_signed(header, body, secret)
