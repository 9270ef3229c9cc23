"""Prints a software bill of materials (CycloneDX 1.6, JSON) of the packages in a lock file, with their hashes.

Needs nothing but Python, because the build of the image runs it. The same input gives the same bytes: no time, and a
serial number that is derived from the contents.
"""

import argparse
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^ ;]+)( *; *(?P<marker>.+?))?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_IN_SERIAL_NUMBER = uuid.UUID("0d5b3f0c-5c1e-5f0a-9a52-0c7f3e6f5a11")


class BillError(Exception):
    """The lock file and the environment do not agree, or the lock file cannot be read."""


@dataclass(frozen=True, slots=True)
class Package:
    """A locked package. Each hash is that of one of its files (wheels and source)."""

    name: str
    version: str
    hashes: Sequence[str]
    marker: str
    """On which platforms it is installed; empty: on all."""


def normalised(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> list[Package]:
    """The packages of a lock file.

    Raises: BillError.
    """
    packages = []
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *_ = line.split(" --hash=", 1)
        match = _REQUIREMENT.fullmatch(requirement.strip())
        hashes = _HASH.findall(line)
        if match is None or not hashes:
            raise BillError(f"The lock file has a line without an exact version and hashes: {line[:100]}")
        packages.append(Package(normalised(match["name"]), match["version"], hashes, match["marker"] or ""))
    return packages


def installed_of(packages: Sequence[Package], installed: Mapping[str, str]) -> list[Package]:
    """The packages that are installed; `installed` has a version for each name.

    Raises: BillError, if something else is installed.
    """
    by_name = {package.name: package for package in packages}
    for name, version in installed.items():
        if name not in by_name or by_name[name].version != version:
            raise BillError(f"{name} {version} is installed, but not locked.")
    return [package for package in packages if package.name in installed]


def bill(packages: Sequence[Package], version: str) -> dict[str, Any]:
    """The document, for this version of ours."""
    own = {"type": "application", "bom-ref": "chat-gateway", "name": "chat-gateway", "version": version}
    components = [_component(package) for package in packages]
    contents = {
        "metadata": {"component": {**own, "licenses": [{"license": {"id": "MIT"}}]}},
        "components": components,
        "dependencies": [{"ref": "chat-gateway", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    serial_number = uuid.uuid5(_IN_SERIAL_NUMBER, json.dumps(contents, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial_number}", "version": 1}
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", **head, **contents}


def _component(package: Package) -> dict[str, Any]:
    purl = f"pkg:pypi/{package.name}@{package.version}"
    files = {
        "type": "distribution",
        "url": f"https://pypi.org/simple/{package.name}/",
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
    }
    component = {"type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl}
    if package.marker:
        component["properties"] = [{"name": "chat-gateway:marker", "value": package.marker}]
    return component | {"externalReferences": [files]}


def main() -> int:
    """0, or 1 with an error that names the package."""
    parser = argparse.ArgumentParser(prog="scripts/sbom", description=__doc__)
    parser.add_argument("lock", nargs="?", type=Path, default=ROOT / "requirements/runtime.txt")
    parser.add_argument("--installed", action="store_true", help="only what this Python has; fails if it has more")
    arguments = parser.parse_args()
    try:
        packages = locked(arguments.lock.read_text(encoding="utf-8"))
        if arguments.installed:
            installed = {normalised(one.metadata["Name"]): one.version for one in distributions()}
            packages = installed_of(packages, installed)
    except BillError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sys.stdout.write(json.dumps(bill(packages, project["version"]), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
