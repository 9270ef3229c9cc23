"""The signature of webhook deliveries (docs/webhooks.md)."""

import hmac
import time
from hashlib import sha256

MAX_AGE_S = 300
"""An older delivery may have been recorded by a stranger and sent again."""


def is_signed(header: str | None, body: bytes, secret: str, *, max_age_s: float = MAX_AGE_S) -> bool:
    """Whether `X-Chat-Signature` is that of this body, made with this secret at most `max_age_s` ago.

    Takes the same time wherever a wrong signature differs.
    """
    sent_at, _, signature = (header or "").partition(",")
    if not sent_at.startswith("t=") or not signature.startswith("v1=") or not sent_at[2:].isascii():
        return False
    if not sent_at[2:].isdecimal() or abs(time.time() - int(sent_at[2:])) > max_age_s:
        return False
    expected = hmac.new(secret.encode(), sent_at[2:].encode() + b"." + body, sha256).hexdigest()
    return hmac.compare_digest(signature[3:].encode(), expected.encode())
