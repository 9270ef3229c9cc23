"""What is known of users beside who they are: what their tokens say, and how far an erasure is."""

from enum import StrEnum

from msgspec import Struct


class ClaimedProfile(Struct, frozen=True, gc=False):
    """The names and the picture in a token, as they came: of any length, "" for what it does not say.

    `issued_at` is the token's, in Unix seconds, 0 without one.
    """

    issued_at: int = 0
    display_name: str = ""
    first_name: str = ""
    last_name: str = ""
    avatar_url: str = ""


NOTHING_CLAIMED = ClaimedProfile()


class Messages(StrEnum):
    """What becomes of the messages of an erased user."""

    KEEP = "keep"  # they stay, by a deleted user
    ERASE = "erase"  # they are deleted, with everything in them


class Erasure(Struct, frozen=True, gc=False):
    """How far an erasure has come; times are in Unix seconds, `finished_at` is None until all is removed."""

    user_id: int
    messages: Messages
    requested_at: int
    erased_messages: int
    finished_at: int | None
    chat_cursor: int = 0
