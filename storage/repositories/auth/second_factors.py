"""Second factors: the secret of a user's one-time codes, and recovery codes by their digests."""

from collections.abc import Sequence
from typing import Final

from storage.auth_models import RecoveryCode, TotpFactor
from storage.auth_records import SecondFactor
from storage.database.database import Database

_START: Final = """
    INSERT INTO second_factors (user_id, secret, is_confirmed, last_step) VALUES ($1, $2, false, 0)
    ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret WHERE NOT second_factors.is_confirmed
    RETURNING user_id"""
_USE_STEP: Final = """
    UPDATE second_factors SET last_step = $2 WHERE user_id = $1 AND is_confirmed AND last_step < $2 RETURNING user_id"""
_USE_CODE: Final = "DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2 RETURNING user_id"


class SecondFactors:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: int) -> SecondFactor | None:
        """The user's second factor, confirmed or not."""
        async with self._database.session():
            factor = await TotpFactor.get_or_none(user_id=user_id)
        return None if factor is None else SecondFactor(factor.secret, factor.is_confirmed)

    async def start(self, user_id: int, secret: str) -> bool:
        """Store a secret that is not confirmed, in the place of such a one; False if the user has a confirmed one."""
        return bool(await self._database.write(_START, user_id, secret))

    async def confirm(self, user_id: int, secret: str, step: int, digests: Sequence[str]) -> bool:
        """Confirm the secret with the code of this time step, and store the recovery codes; once, also concurrently."""
        async with self._database.transaction():
            pending = TotpFactor.filter(user_id=user_id, secret=secret, is_confirmed=False)
            if not await pending.update(is_confirmed=True, last_step=step):
                return False
            await RecoveryCode.filter(user_id=user_id).delete()
            await RecoveryCode.bulk_create([RecoveryCode(user_id=user_id, digest=digest) for digest in digests])
        return True

    async def use_step(self, user_id: int, step: int) -> bool:
        """Use up the code of this time step and of all earlier ones; of concurrent callers one succeeds."""
        return bool(await self._database.write(_USE_STEP, user_id, step))

    async def use_recovery_code(self, user_id: int, digest: str) -> bool:
        """Use up a recovery code; of concurrent callers one succeeds."""
        return bool(await self._database.write(_USE_CODE, user_id, digest))

    async def remove(self, user_id: int) -> None:
        """Remove the user's second factor and recovery codes."""
        async with self._database.transaction():
            await TotpFactor.filter(user_id=user_id).delete()
            await RecoveryCode.filter(user_id=user_id).delete()
