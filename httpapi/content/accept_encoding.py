"""Which responses are compressed, as requests accept it."""

from typing import Final

MIN_BYTES: Final = 1024
"""Smaller bodies fit a packet or two as they are."""


def accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header has gzip, or `*` without it, with a weight above 0 (RFC 9110, 12.5.3)."""
    weights: dict[str, str] = {}
    for entry in accepted.lower().split(","):
        coding, _, weight = entry.partition(";")
        weights[coding.strip()] = weight.replace(" ", "").removeprefix("q=")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != "" or weight == ""
