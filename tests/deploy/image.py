"""Builds the image as a release does, with buildah, and runs it without a container engine.

Needs root, debootstrap, buildah, chroot and unshare. Nothing is pulled: in place of the official image of Python, the
base is Debian's Python.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.generators.version import current

ROOT = Path(__file__).parents[2]
TLS = Path("/etc/ssl/certs/ca-certificates.crt")
BASE = "localhost/python"
MINUTES_10 = 600


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction of the Dockerfile and its words, on one line."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


@dataclass
class Image:
    """An image that is unpacked in a folder."""

    root: Path
    config: Mapping[str, Any]
    """What the image says of itself: Entrypoint, Cmd, Env, User, WorkingDir, Labels, Healthcheck."""

    @property
    def health_check(self) -> list[str]:
        """The command that checks a running container."""
        kind, *words = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return words

    def command(self, words: Sequence[str], environ: Mapping[str, object]) -> list[str]:
        """How a container of it is run, on a read-only root with a /tmp, in the network of this machine."""
        given = [*self.config["Env"], *(f"{name}={value}" for name, value in environ.items())]
        root = shlex.quote(str(self.root))
        mounts = f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && mount -t tmpfs tmpfs {root}/tmp"
        inside = shlex.join(["/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *given, *words])
        script = f"{mounts} && exec chroot --userspec={self.config['User']} {root} {inside}"
        return ["unshare", "--mount", "sh", "-c", script]


def build(folder: Path) -> Image:
    """What `scripts/build image` makes, from its archive; everything is below `folder`."""
    settings = folder / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n')
    environ = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings), "BUILDAH_ISOLATION": "chroot"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=MINUTES_10)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()

    _debian(folder / "debian")
    base = run("buildah", "from", "scratch")
    run("buildah", "add", base, folder / "debian", "/")
    run("buildah", "commit", "--rm", base, BASE)
    shutil.rmtree(folder / "debian")
    environ["PYTHON_IMAGE"] = BASE
    run(ROOT / "scripts/build", "--to", folder / "dist", "image")
    (archive,) = (folder / "dist").glob(f"chat-gateway-{current()}.image.tar")
    unpacked = run("buildah", "from", f"docker-archive:{archive}")
    config = json.loads(run("buildah", "inspect", "--type", "image", f"chat-gateway:{current()}"))["Docker"]["config"]
    return Image(Path(run("buildah", "mount", unpacked)), config)


def _debian(folder: Path) -> None:
    """Something like the official image of Python: a small Debian with its Python and pip under /usr/local."""
    packages = "--include=python3,python3-venv,ca-certificates"
    log = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", str(folder)],
        capture_output=True,
        text=True,
        timeout=MINUTES_10,
    )
    assert log.returncode == 0, log.stdout[-2000:] + log.stderr
    subprocess.run(["chroot", str(folder), "python3", "-m", "venv", "/usr/local"], check=True, timeout=300)
    for file in (Path("/etc/resolv.conf"), TLS):  # what lets pip out, here
        shutil.copy(file, folder / file.relative_to("/"))
