"""`pip install` of the built wheel gives a program that runs without the repository."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest

from gateway.up.ports import free_port
from tests.deploy.programs import ROOT
from tests.support.servers import wait_until


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and what it depends on from ours."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "checkout"  # setuptools builds in the folder of the sources
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, checkout], check=True)
    subprocess.run(["git", "-C", ROOT, "diff", "HEAD", "--binary", "--output", folder / "patch"], check=True)
    if (folder / "patch").stat().st_size:
        subprocess.run(["git", "-C", checkout, "apply", folder / "patch"], check=True)
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder / "dist", checkout], check=True)
    (wheel,) = (folder / "dist").glob("chat_gateway-*.whl")
    subprocess.run([*pip, "install", "--no-deps", wheel], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in ours))
    return environment


def test_installed_wheel_serves_the_page(environment: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [environment / "bin/chat-gateway", "up", "--replicas", "1", "--port", str(port)]
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        text = (tmp_path / "up.log").read_text
        wait_until(lambda: "is up" in text() or process.poll() is not None, "up is up")
        assert process.poll() is None, text()
        page = httpx.get(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
        script = httpx.get(f"http://127.0.0.1:{port}/static/page.js")
        assert script.status_code == 200
        assert (
            "chat-gateway 0."
            in subprocess.run(
                [environment / "bin/chat-gateway", "--version"], capture_output=True, text=True, check=True
            ).stdout
        )
    finally:
        process.terminate()
        process.wait(60)
