"""The check of a webhook's signature accepts what the gateway signs, and nothing else."""

import time

import pytest
from chat_gateway_client import is_signed

from httpapi.outgoing.signed_post import signature

BODY = b'{"events":[]}'


def test_signature_of_the_gateway_is_accepted() -> None:
    assert is_signed(signature("secret", int(time.time()), BODY), BODY, "secret")


@pytest.mark.parametrize(
    ("age_s", "signed_by", "body"),
    [(0, "other", BODY), (0, "secret", BODY + b" "), (301, "secret", BODY), (-400, "secret", BODY)],
)
def test_signature_of_another_time_body_or_secret_is_rejected(age_s: int, signed_by: str, body: bytes) -> None:
    assert not is_signed(signature(signed_by, int(time.time()) - age_s, BODY), body, "secret")


@pytest.mark.parametrize("header", [None, "", "t=,v1=", "t=٣,v1=00", "t={now},v1=ü", "v1=00,t={now}", "t={now}"])
def test_header_of_another_form_is_rejected(header: str | None) -> None:
    assert not is_signed(header and header.format(now=int(time.time())), BODY, "secret")
