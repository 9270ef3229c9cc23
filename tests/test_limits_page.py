"""docs/limits.md against the settings and the limits in the code."""

import re
from pathlib import Path

from gateway.api.users.export import AT_ONCE as EXPORTS_AT_ONCE
from gateway.api.users.export import MOST_S as EXPORT_MOST_S
from gateway.config import validation
from gateway.config.settings import Settings
from gateway.delivery.history import PAGE_BYTES
from gateway.protocol.commands import MAX_HISTORY
from gateway.sessions.command_limits import LIMITED, CommandRates
from gateway.sessions.native import MAX_SUBSCRIPTIONS
from gateway.sessions.session import MAX_REFUSALS
from gateway.transport.fragments import MAX_FRAGMENTS
from gateway.transport.incoming import BURST, PER_SECOND
from httpapi.bounded_json import MAX_DEPTH
from storage.repositories.upkeep import retention

PAGE = (Path(__file__).parents[1] / "docs/limits.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]


def test_defaults_on_the_page_are_those_of_production() -> None:
    values = Settings()
    shown = {}
    for row in ROWS:
        for name in re.findall(r"`([A-Z_]+)`", " ".join(row[2:])):
            shown[name] = row[1].replace(",", "").rstrip("*")
    del shown["MAX_CONNECTIONS"]  # follows from the limit of descriptors
    assert len(shown) > 10
    assert {name: str(getattr(values, name.lower())) for name in shown} == shown


def test_stars_are_at_the_limits_that_development_switches_off() -> None:
    starred = set()
    for row in ROWS:
        if "*" in row[0] + row[1]:
            starred |= {name.lower() for name in re.findall(r"`([A-Z_]+)`", " ".join(row[2:]))}
    assert starred == set(validation._LIMITS_OF_PRODUCTION)


def test_every_bucket_of_commands_is_on_the_page() -> None:
    for bucket in CommandRates.__slots__:
        assert f"`{bucket.upper()}_PER_MINUTE`" in PAGE
    assert set(LIMITED.values()) == set(CommandRates.__slots__)


def test_fixed_limits_on_the_page_are_those_of_the_code() -> None:
    for text in (
        f"{BURST:,} at once and {PER_SECOND} a second",
        f"{MAX_FRAGMENTS:,} fragments",
        f"{MAX_DEPTH} levels",
        f"{MAX_REFUSALS} in 60 s",
        f"{MAX_HISTORY}, or {PAGE_BYTES // 1024} KiB",
        f"| subscriptions of a socket | {MAX_SUBSCRIPTIONS:,} |",
        f"and of a node; beyond it 429 with `Retry-After` | 1; {EXPORTS_AT_ONCE} |",
        f"then it ends without its last line | {EXPORT_MOST_S // 60:.0f} |",
        f"with {retention.PAUSE_S * 1000:.0f} ms between two | {retention.BATCH} |",
    ):
        assert text in PAGE, text
