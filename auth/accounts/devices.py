"""Device tokens: a browser that has logged in to an account is known, and others' failures do not count against it.

The device cookie of OWASP's "Slow Down Online Guessing Attacks with Device Cookies", as a JWT of our own keys. It opens
nothing: it only chooses the limits of a login (`auth.accounts.login_limits`).
"""

import secrets

from auth.accounts.login_limits import login_digest
from auth.errors import InvalidToken, KeysUnavailable
from auth.tokens.access_tokens import DeviceIssuer, Verifier
from auth.tokens.key_ring import KeyRing


class Devices:
    """Issues and verifies device tokens."""

    def __init__(self, keys: KeyRing, issuer: DeviceIssuer, verifier: Verifier) -> None:
        self._keys = keys
        self._issuer = issuer
        self._verifier = verifier

    async def token(self, login: str, device: str | None) -> str:
        """A token for a device after a successful login; a known device keeps its id.

        Raises: StorageUnavailable.
        """
        key = await self._keys.signing_key()
        return self._issuer.issue(key, login_digest(login), device or secrets.token_urlsafe(12))

    async def id_of(self, token: str | None, login: str) -> str | None:
        """The id of a device that knows this login; None for every other one."""
        if not token:
            return None
        try:
            claims = await self._verifier.verify_device(token)
        except (InvalidToken, KeysUnavailable):
            return None
        return claims.device if claims.login_digest == login_digest(login) else None
