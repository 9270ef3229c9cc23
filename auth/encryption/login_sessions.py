"""Logins whose secret, which derives their refresh tokens, is encrypted in the database."""

import logging
from dataclasses import replace

from auth.encryption.secret_box import SecretBox, is_sealed
from auth.errors import CannotDecrypt
from storage.auth_records import RenewableLogin
from storage.database.database import Database
from storage.repositories.auth.login_sessions import LoginSessions

log = logging.getLogger("auth")


class EncryptedSessions(LoginSessions):
    """Implements `auth.accounts.sessions.SessionStore`."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        super().__init__(database)
        self._box = box

    async def add(
        self,
        user_id: int,
        session_id: str,
        secret: str,
        digest: str,
        created_at: int,
        expires_at: int,
        user_agent: str = "",
    ) -> None:
        """Store a new session; beyond MAX_A_USER the oldest of the user ends."""
        await super().add(
            user_id, session_id, self._sealed(session_id, secret), digest, created_at, expires_at, user_agent
        )

    async def find(self, session_id: str) -> RenewableLogin | None:
        """The session; None if it has ended, or its secret cannot be read."""
        session = await super().find(session_id)
        if session is None or not is_sealed(session.secret):
            return session
        try:
            secret = self._box.open(session.secret, _context(session_id))
        except CannotDecrypt:
            log.warning("login_secret_unreadable", extra={"fields": {"user_id": session.person.id}})
            return None
        return replace(session, secret=secret.hex())

    async def encrypt_plain(self) -> None:
        """Encrypt the secrets that a version without encryption has stored."""
        count = 0
        while encrypted := await self.encrypt_secrets(self._sealed):
            count += encrypted
        if count:
            log.info("login_secrets_encrypted", extra={"fields": {"count": count}})

    def _sealed(self, session_id: str, secret: str) -> str:
        return self._box.seal(bytes.fromhex(secret), _context(session_id))


def _context(session_id: str) -> str:
    return f"login_sessions.{session_id}"
