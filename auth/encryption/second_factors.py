"""Second factors whose secret, from which one-time codes follow, is encrypted in the database."""

from collections.abc import Sequence

from auth.encryption.secret_box import SecretBox
from storage.auth_records import SecondFactor
from storage.database.database import Database
from storage.repositories.auth.second_factors import SecondFactors


class EncryptedFactors(SecondFactors):
    """Implements `auth.accounts.store.FactorStore`."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        super().__init__(database)
        self._box = box

    async def find(self, user_id: int) -> SecondFactor | None:
        """The user's second factor, confirmed or not.

        Raises: CannotDecrypt.
        """
        stored = await super().find(user_id)
        return stored and SecondFactor(self._opened(user_id, stored), stored.is_confirmed)

    async def start(self, user_id: int, secret: str) -> bool:
        """Store a secret that is not confirmed, in the place of such a one; False if the user has a confirmed one."""
        return await super().start(user_id, self._box.seal(secret.encode(), _context(user_id)))

    async def confirm(self, user_id: int, secret: str, step: int, digests: Sequence[str]) -> bool:
        """Confirm the secret with the code of this time step, and store the recovery codes; once, also concurrently.

        Raises: CannotDecrypt.
        """
        stored = await super().find(user_id)
        if stored is None or self._opened(user_id, stored) != secret:
            return False
        return await super().confirm(user_id, stored.secret, step, digests)

    def _opened(self, user_id: int, stored: SecondFactor) -> str:
        return self._box.open(stored.secret, _context(user_id)).decode()


def _context(user_id: int) -> str:
    return f"second_factors.{user_id}"
