"""The list of events is documented, and each recorded operation exists."""

from pathlib import Path

from gateway.node.policy.roles import HTTP
from httpapi.audit.events import OPERATIONS, UNRECORDED, Event

PAGE = Path(__file__).parents[3] / "docs/audit.md"


def test_every_event_is_documented_and_nothing_else() -> None:
    rows = PAGE.read_text(encoding="utf-8").partition("\n## Events\n")[2].partition("\n## ")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    documented = [word.strip(" `") for cell in cells for word in cell.split(",")]
    assert sorted(documented) == sorted(event.value for event in Event)


def test_every_recorded_operation_exists() -> None:
    assert OPERATIONS.keys() | UNRECORDED <= HTTP.keys()
