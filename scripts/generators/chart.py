"""The parts of the Helm chart that repeat other files.

values.schema.json has the settings and credentials of `gateway.config.settings`, README.md the table of values.yaml.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import Field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from gateway.config.settings import known_settings
from gateway.errors import InvalidSetting
from scripts.generators.marked import ROOT, with_part

CHART: Final = ROOT / "helm/chat-gateway"
OTHERWISE: Final = frozenset(  # the chart sets these itself, or they do not apply in a cluster
    {"APP_HOST", "APP_PORT", "AUTH_PORT", "METRICS_PORT", "DRAIN_DELAY_S", "DRAIN_S", "DATA_DIR"}
)
_TYPES: Final = {bool: "boolean", int: "integer", float: "number"}


def made() -> dict[Path, str]:
    """The two files with their expected content."""
    page = CHART / "README.md"
    return {CHART / "values.schema.json": schema(), page: with_part(page, "values", table())}


def schema() -> str:
    """The schema with every present setting."""
    whole = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    settings, credentials = {}, {}
    for known in known_settings():
        name, meaning = known.name.upper(), known.metadata["meaning"]
        if known.metadata["secret"]:
            credentials[name] = {"description": meaning, "allOf": [{"$ref": "#/definitions/credential"}]}
        elif name not in OTHERWISE:
            settings[name] = {"description": meaning, **_type(known)}
    whole["properties"]["settings"]["properties"] = settings
    whole["properties"]["credentials"]["properties"] = credentials
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _type(known: Field[Any]) -> dict[str, Any]:
    kind: Any = known.type
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [str(choice) for choice in kind]}
    if kind in _TYPES:
        return {"type": _TYPES[kind], **_bounds(known)}
    if getattr(kind, "__origin__", None) is tuple:  # a comma list
        return {"type": ["array", "string"], "items": {"type": "string"}}
    return {"type": "string"}


def _bounds(known: Field[Any]) -> dict[str, float]:
    """The bounds of a number, from the error of its parser for a value out of range."""
    try:
        known.metadata["parse"]("-1")
    except InvalidSetting as error:
        if found := re.search(r"from (\d+) to (\d+)$", str(error)):
            return {"minimum": int(found[1]), "maximum": int(found[2])}
    return {}


def table() -> str:
    """The table of all values in Markdown."""
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in _documented()]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows, ""])


def _documented() -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of each value that has a line `# -- meaning` above it."""
    above: list[str] = []
    meaning = ""
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if note := re.match(r" *# -- (.*)", line):
            meaning = note[1]
        elif entry := re.match(r"( *)([A-Za-z_]+):(.*)", line):
            above[len(entry[1]) // 2 :] = [entry[2]]
            if meaning:
                default = entry[3].strip()
                yield ".".join(above), f"`{default}`" if default else "see `values.yaml`", meaning
            meaning = ""
