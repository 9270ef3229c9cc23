"""Tokens of an external issuer."""

import time
from collections.abc import Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import Key, OctKey, RSAKey

SECRET = "6f" * 32
NOW = int(time.time())
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519", "oct": "HS256"}


def token(key: Key, header: Mapping[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
    """A token of the external issuer, with these changes."""
    content = {"iss": "https://main.example", "aud": "chat", "sub": "u-1", "exp": NOW + 7200, **claims}
    content.pop(drop, None)
    full = {"alg": ALGORITHMS[key.key_type], "typ": "JWT", **({"kid": key.kid} if key.kid else {}), **(header or {})}
    registry = jws.JWSRegistry(algorithms=[full["alg"]], strict_check_header=False)
    return jwt.encode(full, content, key, registry=registry)


def by_secret(header: Mapping[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
    """A token of the external issuer, signed with the shared secret, without a kid."""
    return token(OctKey.import_key(SECRET), header, drop, **claims)
