"""One issuer, one verifier, and forged tokens."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from auth.tokens.access_tokens import InvalidToken, InvalidTokenReason, Issuer, TokenNames, Verifier
from tests.auth.fakes import Clock


def new_key() -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)


def public(*keys: ECKey) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class World:
    """One issuer, one verifier, and what a forger can bend."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.key = new_key()
        self.published = public(self.key)
        self.reads = 0
        self.down = False
        self.verifier = Verifier(self.read, now=self.clock.unix, monotonic=self.clock.unix)

    async def read(self) -> Mapping[str, Any]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise OSError("no database")
        return self.published

    def issue(self, key: ECKey | None = None) -> str:
        return Issuer(TokenNames(), 1800, now=self.clock.unix).issue(key or self.key, 42, "ann")

    def forge(self, header: Mapping[str, Any] | None = None, drop: str = "", **claims: Any) -> str:
        """A token signed with the right key that is wrong in what is given."""
        now = int(self.clock.seconds)
        content: dict[str, Any] = {
            "iss": "chat-gateway",
            "aud": "chat-gateway",
            "sub": "42",
            "username": "ann",
            "iat": now,
            "exp": now + 60,
            "jti": "j",
            **claims,
        }
        content.pop(drop, None)
        full = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid, **(header or {})}
        return jwt.encode(full, content, self.key, algorithms=["ES256"])

    async def refusal(self, token: str) -> InvalidTokenReason:
        with pytest.raises(InvalidToken) as caught:
            await self.verifier.verify(token)
        assert token == "" or token not in str(caught.value) + repr(caught.value)
        assert caught.value.__cause__ is None
        return caught.value.reason
