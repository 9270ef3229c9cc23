"""The workflows for a forge: zizmor finds nothing (pinned actions, least permissions), and no reference is dead."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def zizmor(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the linter at its strictest, without network."""
    program = Path(sys.executable).parent / "zizmor"
    options = ["--offline", "--no-progress", "--quiet", "--strict-collection", "--persona", "auditor"]
    return subprocess.run([program, *options, folder], capture_output=True, text=True, timeout=300)


def test_zizmor_finds_nothing() -> None:
    done = zizmor(ROOT / ".github")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        (r"@[0-9a-f]{40}", "@v7", "unpinned-uses"),
        (r"\n    permissions:\n      contents: read\n", "\n    permissions: write-all\n", "excessive-permissions"),
        (r"persist-credentials: false", "persist-credentials: true", "artipacked"),
        (r"run: scripts/test\n", "run: echo ${{ github.event.pull_request.title }}\n", "template-injection"),
        (r"runs-on:", "run-on:", "run-on"),
    ],
)
def test_linter_finds_planted_defect(right: str, wrong: str, finding: str, tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "test.yml").write_text(re.sub(right, wrong, text), encoding="utf-8")
    done = zizmor(tmp_path)
    assert done.returncode != 0
    assert finding in done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_and_scripts_of_workflow_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]
    needed = {name for job in jobs.values() for name in _list(job.get("needs", []))}
    assert needed <= set(jobs)
    called = [job["uses"] for job in jobs.values() if "uses" in job]
    scripts = re.findall(r"\bscripts/\w+", text)
    assert called or scripts
    assert all((ROOT / name).is_file() for name in [*called, *scripts])


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_release_publishes_what_scripts_build_makes() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    for pattern in ("*.whl", "*.tgz", "chat-gateway-$version.tgz", "chat-gateway-$version.image.tar", "SHA256SUMS"):
        assert f"dist/{pattern}" in text
