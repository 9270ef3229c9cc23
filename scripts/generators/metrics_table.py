"""The table of metrics in docs/metrics.md, with the help texts of the code."""

from pathlib import Path

from scripts.generators.marked import ROOT, with_part
from tests.support.used_metrics import used

_OF_A_HISTOGRAM = {"le"}


def made() -> dict[Path, str]:
    """docs/metrics.md with its expected content."""
    page = ROOT / "docs/metrics.md"
    return {page: with_part(page, "metrics", table())}


def table() -> str:
    """The table of our metrics in Markdown."""
    rows = []
    for family in used().registry.collect():
        if family.name.startswith("chat_gateway_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = sorted({label for sample in family.samples for label in sample.labels} - _OF_A_HISTOGRAM)
            shown = ", ".join(f"`{label}`" for label in labels)
            rows.append(f"| `{name}` | {family.type} | {shown} | {family.documentation} |")
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows, ""])
