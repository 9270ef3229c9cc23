"""Everything that storage raises.

StorageError
├── StorageUnavailable   the database did not answer in time; nothing is known to be wrong with the call
├── LoginTaken
├── NoSuchChat
├── UnknownUser
├── NotAllowed
└── InvalidMembers       the list of members does not fit the kind of chat
"""


class StorageError(Exception):
    """Base of this package's errors."""


class StorageUnavailable(StorageError):
    """The database did not answer in time; the call may be tried again."""


class LoginTaken(StorageError):
    """Another account has this login (letter case aside)."""


class NoSuchChat(StorageError):
    """No such chat, or none that the caller may see: the two are not told apart."""


class UnknownUser(StorageError):
    """`who` (an id or a login) is no user, or no member."""

    def __init__(self, who: int | str) -> None:
        super().__init__(who)
        self.who = who

    def __str__(self) -> str:
        return f"unknown user: {self.who}"


class NotAllowed(StorageError):
    """The caller sees the chat but may not do this to it."""


class InvalidMembers(StorageError):
    """`reason` says, in a sentence for the caller, why these members do not fit this kind of chat."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
