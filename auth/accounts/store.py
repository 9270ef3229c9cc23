"""The interface to the stored accounts. `storage.repositories.auth.accounts` implements it."""

from collections.abc import Sequence
from typing import Protocol

from storage.auth_records import Account, SecondFactor
from storage.records import Person


class InvitationStore(Protocol):
    """Invitations by their digests. Every method raises StorageUnavailable when the database does not answer."""

    async def add(self, digest: str, login: str, expires_at: int) -> None:
        """Store an invitation, for one login or for any (""), until this time in Unix seconds."""
        ...

    async def has(self, digest: str, login: str) -> bool:
        """Whether an account with this login may be created with the invitation now."""
        ...


class ResetStore(Protocol):
    """Tokens to reset passwords by their digests. Every method raises StorageUnavailable, as those of AccountStore."""

    async def add(self, digest: str, user_id: int, expires_at: int) -> None:
        """Store a token until this time in Unix seconds; only the latest ones of a user stay."""
        ...

    async def account_of(self, digest: str) -> Account | None:
        """The account whose password the token resets now."""
        ...


class FactorStore(Protocol):
    """Second factors of users. Every method raises StorageUnavailable, as those of AccountStore."""

    async def find(self, user_id: int) -> SecondFactor | None:
        """The user's second factor, confirmed or not."""
        ...

    async def start(self, user_id: int, secret: str) -> bool:
        """Store a secret that is not confirmed, in the place of such a one; False if the user has a confirmed one."""
        ...

    async def confirm(self, user_id: int, secret: str, step: int, digests: Sequence[str]) -> bool:
        """Confirm the secret with the code of this time step, and store the recovery codes; once, also concurrently."""
        ...

    async def use_step(self, user_id: int, step: int) -> bool:
        """Use up the code of this time step and of all earlier ones; of concurrent callers one succeeds."""
        ...

    async def use_recovery_code(self, user_id: int, digest: str) -> bool:
        """Use up a recovery code; of concurrent callers one succeeds."""
        ...

    async def remove(self, user_id: int) -> None:
        """Remove the user's second factor and recovery codes."""
        ...


class AccountStore(Protocol):
    """Users and their password hashes. Every method raises StorageUnavailable when the database does not answer."""

    @property
    def invitations(self) -> InvitationStore:
        """The invitations that `create` uses up."""
        ...

    @property
    def resets(self) -> ResetStore:
        """The tokens that `reset_password` uses up."""
        ...

    @property
    def factors(self) -> FactorStore:
        """The second factors."""
        ...

    async def create(
        self, login: str, password_hash: str, first_name: str = "", last_name: str = "", invitation: str | None = None
    ) -> Person:
        """Create a user, and use up the invitation with this digest, if one is given.

        Raises: LoginTaken (letter case is ignored), UnknownInvitation.
        """
        ...

    async def by_login(self, login: str) -> Account | None:
        """The account with this login; letter case is ignored."""
        ...

    async def by_user_id(self, user_id: int) -> Account | None:
        """The account with this id."""
        ...

    async def replace_hash(self, user_id: int, replaced: str, password_hash: str) -> bool:
        """Replace the hash by one of the same password; False if it is not `replaced` any more."""
        ...

    async def change_password(
        self, user_id: int, replaced: str, password_hash: str, *, session_id: str = "", jti: str = ""
    ) -> bool:
        """Replace the hash, end the user's sessions and revoke all tokens so far, at once or not at all.

        The session of this id stays, and so does the token with this jti. False if the hash is not `replaced` any more.
        """
        ...

    async def reset_password(self, digest: str, password_hash: str) -> bool:
        """Use up the token to reset a password, replace the hash, end all sessions and revoke all tokens, at once.

        False if the token is not valid; of concurrent callers one succeeds.
        """
        ...
