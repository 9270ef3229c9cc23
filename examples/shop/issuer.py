"""The shop as an issuer: it signs the tokens of its users, and shows the key that verifies them."""

import os
import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

LIFETIME_S = 600
"""Short, since a token cannot be taken back by the shop alone; the page asks for a new one when it ends."""

_key = ECKey.generate_key("P-256", auto_kid=True)  # a real shop keeps its key, and replaces it now and then


def token(sub: str, name: str) -> str:
    """A token of this user: `sub` is the shop's own id of the user, and `name` what others see."""
    now = int(time.time())
    claims = {"iss": os.environ["JWT_ISSUER"], "aud": os.environ["JWT_AUDIENCE"], "sub": sub, "given_name": name}
    return jwt.encode({"alg": "ES256", "kid": _key.kid}, claims | {"iat": now, "exp": now + LIFETIME_S}, _key)


def public_keys() -> dict[str, Any]:
    """What the gateway fetches from `JWKS_URL`."""
    return dict(KeySet([_key]).as_dict(private=False))
