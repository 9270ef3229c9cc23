"""One headless run of the load test in a separate process, as Locust patches the importing process."""

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import free_port

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "loadtests/locustfile.py"
BROKEN = (*(("WS", name) for name in ("gap", "duplicate", "unacked")), ("HTTP", "lost"))
"""The lines of broken promises."""
SETUP_S = 600
"""Far more than accounts take; what hangs ends here."""


@dataclass(frozen=True)
class Line:
    """Of the statistics."""

    requests: int
    failures: int


@dataclass(frozen=True)
class Outcome:
    """What the run left."""

    exit_code: int
    output: str
    html: Path
    lines: dict[tuple[str, str], Line]
    users: list[int]
    """The number of users per second, without the seconds before the first and after the last user."""

    def line(self, kind: str, name: str) -> Line:
        """One line; all zeros if it is not there."""
        return self.lines.get((kind, name), Line(0, 0))


def start_locust(
    folder: Path, url: str, *options: str, users: int, rate: int, seconds: int, shape: str = ""
) -> subprocess.Popen[str]:
    """Start it; `outcome` waits."""
    files = [str(LOCUSTFILE), *([str(ROOT / f"loadtests/shapes/{shape}.py")] if shape else [])]
    command = [sys.executable, "-m", "locust", "--locustfile", ",".join(files), "--headless", "--only-summary"]
    command += ["--host", url, "--users", str(users), "--spawn-rate", str(rate), "--run-time", f"{seconds}s"]
    command += ["--html", str(folder / "report.html"), "--csv", str(folder / "stats")]
    command += ["--accounts-file", str(folder / "accounts.json"), *options]
    if "--processes" in options:
        port = str(free_port())
        command += ["--master-bind-port", port, "--master-port", port]
    environ = {**os.environ, "NO_PROXY": "*", "PYTHONPATH": f"{ROOT}:{ROOT / 'clients/python'}"}  # as scripts/load does
    log = (folder / "locust.log").open("w")
    with log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, text=True, env=environ)


def outcome(folder: Path, process: subprocess.Popen[str]) -> Outcome:
    """What came of a run that was started in `folder`; waits for its end."""
    try:
        exit_code = process.wait(SETUP_S)
    finally:
        process.kill()
    with (folder / "stats_stats.csv").open() as rows:
        lines = {
            (row["Type"], row["Name"]): Line(int(row["Request Count"]), int(row["Failure Count"]))
            for row in csv.DictReader(rows)
        }
    with (folder / "stats_stats_history.csv").open() as rows:
        users = [count for row in csv.DictReader(rows) if (count := int(row["User Count"]))]
    return Outcome(exit_code, (folder / "locust.log").read_text(), folder / "report.html", lines, users)
