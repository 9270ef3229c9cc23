"""The release: one version and one license in all places."""

import json
import re
import subprocess
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from httpapi.docs_pages import program_version
from tests.deploy.image import instructions

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHART = (ROOT / "helm/chat-gateway/Chart.yaml").read_text(encoding="utf-8")


def _packages() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "package.json", "**/package.json"]
    return [ROOT / name for name in subprocess.check_output(command, cwd=ROOT, text=True).split()]


def test_every_place_has_the_same_version() -> None:
    version = PROJECT["project"]["version"]
    assert program_version() == version
    assert re.findall(r"(?m)^(?:version|appVersion): (.+)$", CHART) == [version, version]
    packages = [json.loads(path.read_text(encoding="utf-8")) for path in _packages()]
    assert [package["name"] for package in packages if package.get("version", version) != version] == []


def test_changelog_has_version_date_and_supported_versions() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"(?m)^## (\d+\.\d+\.\d+) - (\S+)$", changelog)
    assert releases[0][0] == PROJECT["project"]["version"]
    assert all(date.fromisoformat(day) for _, day in releases)
    assert "\nSupported: " in changelog.partition("\n## ")[0]


def test_license_is_mit_in_every_place() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) 2026 the chat-gateway authors\n")
    assert (PROJECT["project"]["license"], PROJECT["project"]["license-files"]) == ("MIT", ["LICENSE"])
    (builder,) = PROJECT["build-system"]["requires"]
    assert int(re.findall(r"setuptools>=(\d+)", builder)[0]) >= 77, "the first that knows PEP 639"
    assert "  artifacthub.io/license: MIT\n" in CHART
    (labels,) = [rest for word, rest in instructions() if word == "LABEL"]
    assert 'org.opencontainers.image.licenses="MIT"' in labels


@pytest.mark.parametrize("path", _packages(), ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_every_node_package_has_the_license(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8"))["license"] == "MIT"


def test_security_policy_describes_private_reporting() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "## Reporting a vulnerability" in text
    assert ".".join(PROJECT["project"]["version"].split(".")[:2]) + ".x" in text
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / target).is_file()
