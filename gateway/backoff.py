"""How long to wait before trying again."""

import random


def full_jitter(attempt: int, max_s: float = 1.0) -> float:
    """Seconds to wait before the next attempt: random below a bound that doubles, so that many do not come at once."""
    return random.uniform(0, min(max_s, 0.05 * 2 ** min(attempt, 10)))  # noqa: S311 - spreads load
