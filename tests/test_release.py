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
from scripts.generators import version
from scripts.release import ReleaseError, notes, released
from tests.deploy.image import instructions

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHART = (ROOT / "helm/chat-gateway/Chart.yaml").read_text(encoding="utf-8")


UNRELEASED = "# Changelog\n\n## Unreleased\n\n### Added\n- B.\n\n## 0.1.0 - 2026-01-01\n\n### Added\n- A.\n"


def _packages() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "package.json", "**/package.json"]
    return [ROOT / name for name in subprocess.check_output(command, cwd=ROOT, text=True).split()]


def test_every_place_has_the_same_version() -> None:
    stated = PROJECT["project"]["version"]
    assert program_version() == stated
    assert re.findall(r"(?m)^(?:version|appVersion): (.+)$", CHART) == [stated, stated]
    client = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text(encoding="utf-8"))
    assert client["project"]["version"] == stated
    packages = [json.loads(path.read_text(encoding="utf-8")) for path in _packages()]
    assert [package["name"] for package in packages if package.get("version", stated) != stated] == []


def test_another_version_reaches_every_file_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "current", lambda: "9.8.7")
    made = version.made()
    assert {ROOT / "clients/python/pyproject.toml", ROOT / "helm/chat-gateway/Chart.yaml"} < set(made)
    for path, text in made.items():
        assert "9.8.7" in text, path
        assert f'{PROJECT["project"]["version"]}"' not in text


def test_release_names_what_was_unreleased() -> None:
    changelog = released(UNRELEASED, "0.2.0", "0.1.0", date(2026, 2, 3))
    assert "## Unreleased\n\n## 0.2.0 - 2026-02-03\n\n### Added\n- B.\n" in changelog
    assert notes(changelog, "0.2.0") == "### Added\n- B.\n"
    assert notes(changelog, "0.1.0") == "### Added\n- A.\n"


@pytest.mark.parametrize(
    ("changelog", "new", "complaint"),
    [
        (UNRELEASED, "0.1.0", "does not follow 0.1.0"),
        (UNRELEASED, "v0.2.0", "three numbers"),
        (UNRELEASED.replace("\n### Added\n- B.\n", ""), "0.2.0", "nothing under Unreleased"),
    ],
)
def test_invalid_release_is_rejected(changelog: str, new: str, complaint: str) -> None:
    with pytest.raises(ReleaseError, match=complaint):
        released(changelog, new, "0.1.0", date(2026, 2, 3))


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
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (ROOT / target).is_file()
