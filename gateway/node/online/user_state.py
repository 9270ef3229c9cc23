"""The presence of a user, from what Redis and the database say."""

from datetime import UTC, datetime

from gateway.protocol.replies import UserPresence


def state_of(user_id: int, seen_ms: int | None, *, is_online: bool) -> UserPresence:
    """The state; `seen_ms` (Unix ms) is of interest only if the user is offline."""
    if is_online or seen_ms is None:
        return UserPresence(user_id, is_online, None)
    return UserPresence(user_id, False, datetime.fromtimestamp(seen_ms / 1000, UTC))
