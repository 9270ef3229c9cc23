"""The scripts in a fresh clone of the project."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import httpx
import pytest

from gateway.up.ports import free_port
from tests.support.machine_speed import slowness
from tests.support.servers import wait_until
from tests.up.process_tree import descendants, is_alive

ROOT = Path(__file__).parents[2]
START_S = 90
MEASURED_EVERY_S = 5


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a commit of the present sources would have, and nothing else."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        target = tmp_path / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target)
    return tmp_path / "clone"


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Runs to be killed at the end."""
    runs: list[subprocess.Popen[bytes]] = []
    yield runs
    for run in runs:
        for pid in [*descendants(run.pid), run.pid]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        run.communicate()


def _environment(**more: str) -> dict[str, str]:
    ours = ("VIRTUAL_ENV", "PYTHON", "APP_", "REDIS_", "DATABASE_", "POSTGRES_", "DATA_DIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PIP_NO_CACHE_DIR": "1", **more}


def test_environment_of_another_checkout_is_not_rebuilt(clone: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".stamp").write_text("another checkout's\n")
    (clone / ".venv").symlink_to(other)
    command = [clone / "scripts/venv", clone / ".venv", "requirements/runtime.txt"]
    done = subprocess.run(command, cwd=clone, env=_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "another checkout, which is not rebuilt from here" in done.stderr
    assert [path.name for path in other.iterdir()] == [".stamp"]


@pytest.mark.timeout(600)
def test_fresh_clone_serves_in_90_seconds_and_leaves_nothing(
    clone: Path, tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    speeds = [slowness()]
    begun_at = measured_at = time.monotonic()
    with log.open("wb") as output:
        command = [str(clone / "scripts/up"), "--replicas", "2", "--port", str(port)]
        up = subprocess.Popen(command, cwd=tmp_path, env=_environment(), stdout=output, stderr=output)
    started.append(up)

    def is_ready() -> bool:
        nonlocal measured_at
        assert up.poll() is None, log.read_text()
        if time.monotonic() - measured_at > MEASURED_EVERY_S:
            speeds.append(slowness())
            measured_at = time.monotonic()
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_ready, "it is ready", 5 * START_S)
    assert time.monotonic() - begun_at < START_S * mean(speeds)
    nodes: set[str] = set()

    def both_seen() -> bool:
        nodes.add(httpx.get(f"{url}/livez").headers["X-Gateway-Node"])
        return len(nodes) == 2

    wait_until(both_seen, "both replicas have answered")
    everybody = descendants(up.pid)
    up.send_signal(signal.SIGINT)
    assert up.wait(30) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("script", ["up", "test"])
def test_missing_python_gives_clear_error(script: str, tmp_path: Path) -> None:
    for name in ("dirname", "cat", "cksum", "ls", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name in set(re.findall(r"\bhas ([\w-]+)", (ROOT / "scripts" / "test").read_text())):
        (tmp_path / name).symlink_to(str(shutil.which("true")))
    command = [ROOT / "scripts" / script]
    run = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert run.returncode == 1
    assert "needs Python 3.11 or newer" in run.stderr


@pytest.mark.parametrize(("statuses", "best"), [((1, 0), 1), ((0, 0), 0), ((1, 1), 0)])
def test_optimized_python_is_preferred(statuses: tuple[int, int], best: int, tmp_path: Path) -> None:
    pythons = []
    for number, status in enumerate(statuses):  # of the check of the build
        text = f'case $2 in *slowness*) exit {status} ;; *sys.executable*) echo "$0" ;; esac'
        folder = tmp_path / str(number)
        _tools(folder, python3=text)
        pythons.append(folder / "python3")
    folders = [str(python.parent) for python in pythons]
    environ = _tools(tmp_path / "tools", "dirname", "sh")
    environ["PATH"] = ":".join([*folders, environ["PATH"]])
    command = [ROOT / "scripts/python", "--optimized"]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert run.stdout == f"{pythons[best]}\n"
    chosen = subprocess.run(
        command, capture_output=True, text=True, env={**environ, "PYTHON": str(pythons[1])}, check=True
    )
    assert chosen.stdout == f"{pythons[1]}\n"  # whatever its build


SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix)


def _tools(folder: Path, *names: str, **stubs: str) -> dict[str, str]:
    """An environment whose PATH has these real programs, and these stubs of others (their text)."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).symlink_to(str(shutil.which(name)))
    for name, text in stubs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_shows_help_without_installing(script: str, option: str, tmp_path: Path) -> None:
    environ = _tools(tmp_path / "bin", "dirname", "sed", "sh", "env", python3=f'exec "{sys.executable}" "$@"')
    before = set(ROOT.iterdir())
    command = [ROOT / "scripts" / script, option]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=300, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout) > 60
    assert set(ROOT.iterdir()) == before


@pytest.mark.parametrize(
    ("script", "module"),
    [("up", ["gateway.cli", "up"]), ("benchmarks", ["benchmarks"]), ("mutants", ["scripts.mutation"])],
    ids=["up", "benchmarks", "mutants"],
)
def test_script_help_names_every_option_of_its_program(script: str, module: list[str]) -> None:
    options = []
    for command in ([sys.executable, "-m", *module, "--help"], [str(ROOT / "scripts" / script), "--help"]):
        text = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=True).stdout
        options.append(set(re.findall(r"--[a-z][a-z-]+", text)) - {"--help"})
    assert options[0] == options[1]


@pytest.mark.parametrize(
    ("script", "option", "nearest"),
    [("up", "--prot", "--port"), ("benchmarks", "--qiuck", None), ("generate", "--chekc", None)],
)
def test_wrong_option_shows_the_usage_of_the_script(
    clone: Path, tmp_path: Path, script: str, option: str, nearest: str | None
) -> None:
    (clone / "scripts/venv").write_text('#!/bin/sh\nshift 3\nexec "$PYTHON" "$@"\n')
    environ = {**os.environ, "PYTHON": sys.executable}
    programs = re.findall(r"\bhas ([\w-]+)", (clone / "scripts" / script).read_text())
    environ["PATH"] += ":" + _tools(tmp_path / "bin", **dict.fromkeys(programs, "exit 0"))["PATH"]
    (clone / "scripts/packages").write_text("#!/bin/sh\n")
    command = [clone / "scripts" / script, option]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"usage: scripts/{script} [")
    assert option in run.stderr
    assert nearest is None or f"did you mean {nearest}?" in run.stderr


def test_missing_programs_are_named_before_they_are_installed(clone: Path, tmp_path: Path) -> None:
    stubs = {"id": "echo 0", "apt-get": 'echo "$*" >>"$0.log"; echo "no such mirror"; exit 100'}
    environ = _tools(tmp_path / "bin", "dirname", "ls", "sh", **stubs)
    for script, user in (("test", "The tests"), ("benchmarks", "The benchmarks")):
        command = [clone / "scripts" / script]
        run = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
        assert run.returncode == 100
        said, failure = run.stderr.split("no such mirror")
        assert f"{user} need programs that are missing on this machine" in said
        (install,) = re.findall(r"apt-get install --yes --no-install-recommends (.*)", said)
        assert {"redis-server", "nodejs", "npm"} <= set(install.split())
        assert "This command failed with exit code 100" in failure
        assert "  apt-get update\n" in failure
    assert (tmp_path / "bin/apt-get.log").read_text() == "update\n" * 2


def test_failing_npm_is_reported_with_its_output(clone: Path, tmp_path: Path) -> None:
    names = ("dirname", "cat", "cksum", "ls", "sh", "mkdir", "cmp")
    environ = _tools(tmp_path / "bin", *names, npm="echo ECONNRESET of the registry; exit 7")
    for name in set(re.findall(r"\bhas ([\w-]+)", (ROOT / "scripts/test").read_text())) - {"npm"}:
        (tmp_path / "bin" / name).symlink_to(str(shutil.which("true")))
    environ["PYTHON"] = sys.executable
    folder = clone / ".venv-tests"
    folder.mkdir()
    (folder / ".stamp").write_text(_stamp(clone, "requirements/tests.txt"))
    command = [clone / "scripts/test"]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    assert run.returncode == 7
    assert "ECONNRESET of the registry" in run.stderr
    assert "This command failed with exit code 7" in run.stderr
    assert "  npm ci --prefix tests/node" in run.stderr


def test_the_last_lines_name_the_failed_tests_of_both_runs(clone: Path, tmp_path: Path) -> None:
    shutil.rmtree(clone / "tests")
    for folder in ("tests/node", "tests/deploy/tools", "tests/asyncapi"):
        (clone / folder / "node_modules").mkdir(parents=True)
        for name in ("package-lock.json", "node_modules/.stamp"):
            (clone / folder / name).touch()
    (clone / "tests/test_alone.py").write_text(
        "import pytest\n@pytest.mark.alone\ndef test_slow() -> None:\n    assert False\ndef test_fine() -> None: ...\n"
    )
    (clone / "tests/test_other.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(60))\n"
        "def test_many(n: int) -> None:\n    assert list(range(9999)) == list('ab' * 9999)\n"
    )
    (clone / ".venv-tests/bin").mkdir(parents=True)
    (clone / ".venv-tests/.stamp").write_text(_stamp(clone, "requirements/tests.txt"))
    _tools(clone / ".venv-tests/bin", **dict.fromkeys(("ruff", "mypy", "lint-imports"), "exit 0"))
    _tools(clone / ".venv-tests/bin", pytest=f'exec "{sys.executable}" -m pytest "$@"')
    environ = {**os.environ, "PYTHON": sys.executable, "CI": "true"}
    command = [clone / "scripts/test"]
    run = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, timeout=300, check=False
    )
    assert run.returncode == 1
    last = run.stdout.splitlines()[-40:]
    assert [line.strip() for line in last if "test_slow" in line] == ["tests/test_alone.py::test_slow"]
    assert "  tests/test_other.py::test_many[0]" in last
    assert last[-1] == "  and 31 more"


def _stamp(clone: Path, lock: str) -> str:
    """The stamp of an environment that is what `lock` pins, as scripts/venv writes it."""
    content = (clone / lock).read_bytes() + (clone / "pyproject.toml").read_bytes()
    checksum = subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout.decode().strip()
    return f"{clone} {sys.executable} {lock} {checksum}\n"


@pytest.fixture
def environment(clone: Path) -> Path:
    """An environment of the clone's that looks installed; its Python prints its arguments, and waits."""
    folder = clone / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / ".stamp").write_text(_stamp(clone, "requirements/runtime.txt"))
    (folder / "bin/python").write_text('#!/bin/sh\necho "runs $*"\nexec cat >/dev/null\n')
    (folder / "bin/python").chmod(0o755)
    return folder


def _start_up(clone: Path, started: list["subprocess.Popen[bytes]"], **environ: str) -> "subprocess.Popen[bytes]":
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = subprocess.Popen([clone / "scripts/up"], env={**os.environ, "PYTHON": sys.executable, **environ}, **pipes)
    started.append(run)
    return run


def test_environment_is_not_rebuilt_under_a_running_up(
    clone: Path, environment: Path, tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    with_redis = f"{_tools(tmp_path / 'bin', **{'redis-server': 'exit 0'})['PATH']}:{os.environ['PATH']}"
    running = _start_up(clone, started, PATH=with_redis)
    assert running.stdout is not None
    assert running.stdout.readline() == b"runs -m gateway.cli up\n"
    with (clone / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    refused = subprocess.run(
        [clone / "scripts/up"],
        env={**os.environ, "PATH": with_redis, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert refused.returncode == 1
    assert ".venv must be reinstalled" in refused.stderr
    assert "end that first" in refused.stderr
    assert (environment / "bin/python").read_text().startswith("#!/bin/sh")
    running.kill()
    running.wait()
    lock = os.open(environment, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released by the kernel
    finally:
        os.close(lock)
    running.communicate()


def test_newly_found_redis_causes_no_reinstallation(
    clone: Path, environment: Path, tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    (environment / ".stamp").write_text(_stamp(clone, "requirements/up.txt"))
    with_redis = f"{_tools(tmp_path / 'bin', **{'redis-server': 'exit 0'})['PATH']}:{os.environ['PATH']}"
    running = _start_up(clone, started, PATH=with_redis)
    output, error = running.communicate(b"", 60)
    assert (output, error) == (b"runs -m gateway.cli up\n", b"")


def test_missing_programs_are_named_to_unprivileged_user(tmp_path: Path) -> None:
    for name in ("dirname", "ls", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    command = [ROOT / "scripts/test"]
    run = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert run.returncode == 1
    assert "redis-server" in run.stderr
    assert "chromium" in run.stderr
