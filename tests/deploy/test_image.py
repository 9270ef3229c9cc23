"""The image: always linted; with --full it is built as a release builds it, and runs unprivileged."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.bill_of_materials import normalised
from scripts.generators.version import current
from tests.deploy.image import Image, build, instructions
from tests.deploy.programs import ROOT
from tests.support.servers import free_port, temporary_folder, wait_until


def test_hadolint_finds_nothing() -> None:
    if (hadolint := shutil.which("hadolint", path=Path(sys.executable).parent)) is None:
        pytest.skip("hadolint comes for Linux on x86-64 only")
    ended = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout


def test_build_context_is_exactly_what_is_copied() -> None:
    copied = {rest.split()[0] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / each).exists() for each in copied)


def test_last_stage_runs_unprivileged_and_installs_nothing() -> None:
    words = [*instructions()]
    last = words[max(at for at, (word, _) in enumerate(words) if word == "FROM") :]
    said = dict(last)
    assert said["USER"] == "10001:10001"
    assert "chat-gateway" in said["HEALTHCHECK"]
    assert not [rest for word, rest in last if word == "RUN" and "pip install" in rest]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if os.geteuid() != 0 or not shutil.which("debootstrap") or not shutil.which("buildah"):
        pytest.skip("needs root, debootstrap and buildah")
    folder = temporary_folder()
    folder.chmod(0o755)
    try:
        yield build(folder)
    finally:
        shutil.rmtree(folder)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_image_serves_unprivileged_on_read_only_root(image: Image, redis_url: str, postgres_url: str) -> None:
    port = free_port()
    environ = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "APP_HOST": "127.0.0.1", "APP_PORT": port,
               "DRAIN_DELAY_S": 0, "STATIC_PATH": "/project/static",
               "PUBLIC_URL": "https://chat.example.com"}  # fmt: skip
    (entry,), default = image.config["Entrypoint"], image.config["Cmd"]
    subprocess.run(image.command([entry, "migrate"], environ), check=True, timeout=300)
    with subprocess.Popen(image.command([entry, *default], environ)) as gateway:
        try:

            def is_healthy() -> bool:
                assert gateway.poll() is None
                check = image.command(image.health_check, environ)
                return subprocess.run(check, stderr=subprocess.DEVNULL).returncode == 0

            wait_until(is_healthy, "the image's own health check passes")
            assert "<html" in httpx.get(f"http://127.0.0.1:{port}/").text
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(20) == 0
        finally:
            gateway.kill()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_image_lists_exactly_the_packages_that_it_has(image: Image) -> None:
    def tells(*words: str) -> str:
        return subprocess.run(image.command(words, {}), capture_output=True, text=True, timeout=300, check=True).stdout

    bill = json.loads(tells("cat", "/usr/share/chat-gateway/sbom.cdx.json"))
    script = (
        "from importlib.metadata import distributions as d; print(*(one.metadata['Name'] for one in d()), sep='\\n')"
    )
    installed = {normalised(name) for name in tells("python", "-c", script).split()}
    assert {one["name"] for one in bill["components"]} == installed


@pytest.mark.full
@pytest.mark.timeout(900)
def test_image_has_no_build_tools_and_no_writable_files(image: Image) -> None:
    def tells(*words: str) -> str:
        return subprocess.run(image.command(words, {}), capture_output=True, text=True, timeout=300).stdout.strip()

    assert tells("id", "-u") == "10001"
    assert image.config["Labels"]["org.opencontainers.image.version"] == current()
    assert tells("chat-gateway", "--version") == f"chat-gateway {current()}"
    for tool in ("pip", "gcc", "curl"):
        assert tells("sh", "-c", f"command -v {tool}") == ""
    assert tells("python", "-c", "import importlib.util as i; print(i.find_spec('pip'))") == "None"
    assert tells("find", "/app", "/project", "/usr/local", "-writable", "-not", "-type", "l") == ""
    assert tells("sh", "-c", "echo x 2>/dev/null >/app/x || echo refused") == "refused"
    assert tells("find", "/app/gateway", "-name", "cli.cpython-*.pyc") != ""
