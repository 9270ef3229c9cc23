"""Revoked tokens and banned users: the log in the database, and what this node knows of it."""

from collections.abc import Sequence
from typing import Protocol

from gateway.protocol.codes import Disconnect
from storage.auth_records import Credential, RevocationEntry


class RevocationLog(Protocol):
    """Implemented by `storage.repositories.revocations`; every method raises StorageUnavailable if it is silent.

    Times are in Unix seconds.
    """

    async def revoke_token(self, user_id: int, jti: str) -> RevocationEntry:
        """Revoke the user's token with this jti."""
        ...

    async def revoke_issued_before(self, user_id: int, moment: float | None = None) -> RevocationEntry:
        """Revoke the user's tokens that were issued before `moment`, by default now."""
        ...

    async def ban(self, user_id: int, until: float | None, reason: str) -> RevocationEntry:
        """Ban the user until this time, or until `unban`; it replaces an earlier ban."""
        ...

    async def unban(self, user_id: int) -> None:
        """End the user's ban, if there is one."""
        ...

    async def ban_of(self, user_id: int) -> RevocationEntry | None:
        """The user's ban, if it has not ended."""
        ...

    async def since(self, entry_id: int) -> Sequence[RevocationEntry]:
        """The first entries from this id on, including it, in their order; empty at the end."""
        ...

    async def purge(self) -> int:
        """Delete a batch of entries without effect, and return their number."""
        ...


class RevocationCheck(Protocol):
    """What this node knows, but for the last seconds. Implemented by `gateway.node.policy.revocation_list`."""

    def refusal(self, credential: Credential) -> Disconnect | None:
        """Why a session with this credential must end; None if it may go on. Does not wait."""
        ...
