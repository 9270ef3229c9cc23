"""The version in files that other tools read, from pyproject.toml."""

import re
import tomllib
from pathlib import Path
from typing import Final

from scripts.generators.marked import ROOT

PLACES: Final = {
    "clients/python/pyproject.toml": r'(?m)^version = "(.+)"$',
    "clients/*/package.json": r'(?m)^ +"(?:version|@chat-gateway/client)": "\^?(.+?)"',
    "helm/chat-gateway/Chart.yaml": r"(?m)^(?:version|appVersion): (.+)$",
    "k8s/overlays/production/kustomization.yaml": r"(?m)^    newTag: (\S+)",
}
"""Files by pattern, and where in each the version is."""


def made() -> dict[Path, str]:
    """Each file with the version of pyproject.toml.

    Raises: ValueError, if a file has no place for it.
    """
    version = current()
    return {path: _with_version(path, place, version) for glob, place in PLACES.items() for path in ROOT.glob(glob)}


def current() -> str:
    """The version of the sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _with_version(path: Path, place: str, version: str) -> str:
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(place, lambda found: found[0].replace(found[1], version), text)
    if not count:
        raise ValueError(f"{path} has no version")
    return changed
