"""The exceptions of storage.

StorageError
├── StorageUnavailable   the database did not answer in time; nothing is known to be wrong with the call
├── PermissionDenied     the database does not grant its user what the call needs
├── LoginTaken
├── ErasedIdentity       the token is older than the erasure of its user
├── UnknownInvitation    it does not exist, is used, has expired, or is for another login
├── NoSuchChat
├── UnknownUser
├── NotAllowed
├── KeyTaken             another chat has this key, and the caller may not see it
├── StaffOnly            a chat or a role that only staff may give
├── Barred               removed from this public chat, and the removal still stands
├── TooManyBlocks
├── QuotaExceeded        the most that a user may store, or that a chat may have
└── InvalidMembers       the list of members does not fit the kind of chat
"""


class StorageError(Exception):
    """Base class of this package's exceptions."""


class StorageUnavailable(StorageError):
    """The database did not answer in time; the call may be tried again."""


class PermissionDenied(StorageError):
    """The database does not grant its user what the call needs: an operator's mistake, or a command of another role."""


class LoginTaken(StorageError):
    """Another account has this login (letter case aside)."""


class ErasedIdentity(StorageError):
    """The token was issued before its user was erased."""


class UnknownInvitation(StorageError):
    """The invitation does not exist, is used, has expired, or is for another login."""


class NoSuchChat(StorageError):
    """The chat does not exist, or the caller may not see it; the exception does not distinguish the two."""


class UnknownUser(StorageError):
    """`who` (an id or a login) is no user, or no member."""

    def __init__(self, who: int | str) -> None:
        super().__init__(who)
        self.who = who

    def __str__(self) -> str:
        return f"unknown user: {self.who}"


class NotAllowed(StorageError):
    """The caller sees the chat but may not do this to it."""


class KeyTaken(StorageError):
    """Another chat has this key, and the caller may not see it."""


class StaffOnly(StorageError):
    """The caller may not give a role of staff."""


class Barred(StorageError):
    """The user was removed from this public chat and may not join it again."""


class TooManyBlocks(StorageError):
    """The user's block list is full."""


class QuotaExceeded(StorageError):
    """There are `most` of what `quota` names, and there may be no more."""

    def __init__(self, quota: str, most: int) -> None:
        super().__init__(f"{quota}: {most}")
        self.quota = quota
        self.most = most


class InvalidMembers(StorageError):
    """These members do not fit this kind of chat; `reason` is a sentence for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
