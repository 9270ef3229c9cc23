"""What a token of an external issuer says about its user beside who it is."""

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
