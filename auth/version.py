"""Which version of this program runs."""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

NAME = "chat-gateway"


@cache
def program_version() -> str:
    """As pyproject.toml says where that lies beside the packages (a checkout, the image), else as it was installed."""
    try:
        project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] == NAME:
            return str(project["version"])
    except (OSError, KeyError, ValueError):  # ValueError: what lies there is no TOML
        pass
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "unknown"
