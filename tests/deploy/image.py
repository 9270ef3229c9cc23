"""Does what the Dockerfile says in a root of Debian's packages instead of layers: no Docker engine runs with the tests.

Knows just the instructions that our Dockerfile has. Needs root, debootstrap, chroot and unshare.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TLS = Path("/etc/ssl/certs/ca-certificates.crt")
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
class Stage:
    """A root folder, and what is said about running in it."""

    root: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    folder: str = "/"
    user: str = "0:0"
    words: dict[str, list[str]] = field(default_factory=dict)
    """Of ENTRYPOINT, CMD and HEALTHCHECK."""

    def run(self, script: str, environ: Mapping[str, str]) -> None:
        """A RUN; raises CalledProcessError."""
        words = [f"{name}={value}" for name, value in (self.environ | dict(environ)).items()]
        shell = ["/bin/sh", "-c", f"cd {self.folder} && {script}"]
        command = ["chroot", f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i", *words, *shell]
        subprocess.run(command, check=True, timeout=MINUTES_10)

    def command(self, words: Sequence[str], environ: Mapping[str, object]) -> list[str]:
        """How a container of it is run, on a read-only root with a /tmp, in the network of this machine."""
        given = [f"{name}={value}" for name, value in (self.environ | dict(environ)).items()]
        root = shlex.quote(str(self.root))
        mounts = f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && mount -t tmpfs tmpfs {root}/tmp"
        inside = shlex.join(["/usr/bin/env", "-i", "-C", self.folder, *given, *words])
        script = f"{mounts} && exec chroot --userspec={self.user} {root} {inside}"
        return ["unshare", "--mount", "sh", "-c", script]


def debian(folder: Path) -> None:
    """Something like the official image of Python: a small Debian with its Python and pip under /usr/local."""
    packages = "--include=python3,python3-venv,ca-certificates"
    log = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "bookworm", str(folder)],
        capture_output=True,
        text=True,
        timeout=MINUTES_10,
    )
    assert log.returncode == 0, log.stdout[-2000:] + log.stderr
    subprocess.run(["chroot", str(folder), "python3", "-m", "venv", "/usr/local"], check=True, timeout=60)
    for file in (Path("/etc/resolv.conf"), TLS):  # what lets pip out, here
        shutil.copy(file, folder / file.relative_to("/"))


def build(base: Path, folder: Path) -> Stage:
    """The last stage of the Dockerfile, on copies of `base`."""
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") and name != "PIP_FIND_LINKS"}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for word, rest in instructions():
        if word == "ARG":
            continue
        if word == "FROM":
            _, _, name = rest.partition(" AS ")
            stage = Stage(folder / (name or "last"))
            subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(stage.root)], check=True)
            stages[name] = stage
            continue
        assert stage is not None
        if word == "WORKDIR":
            stage.folder = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            _copy(stage, stages, rest.split())
        elif word == "RUN":
            stage.run(rest, pip)
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                stage.environ[name] = value.replace("$PATH", stage.environ["PATH"])
        elif word == "USER":
            stage.user = rest
        elif word in ("ENTRYPOINT", "CMD"):
            stage.words[word] = json.loads(rest)
        elif word == "HEALTHCHECK":
            stage.words[word] = json.loads(rest.partition(" CMD ")[2])
        else:
            assert word in {"EXPOSE", "LABEL"}, f"this builder knows no {word}"
    assert stage is not None
    return stage


def _copy(stage: Stage, stages: Mapping[str, Stage], words: list[str]) -> None:
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    origin, target = words
    there = stage.root / target.lstrip("/") if target.startswith("/") else stage.root / stage.folder[1:] / target
    if target.endswith("/"):
        there = there / Path(origin).name
    there.parent.mkdir(parents=True, exist_ok=True)
    path = source / origin.lstrip("/")
    if path.is_dir():
        shutil.copytree(path, there, symlinks=True, dirs_exist_ok=True, ignore=_ignored(source))
    else:
        shutil.copy(path, there)


def _ignored(source: Path) -> Callable[[str, list[str]], set[str]] | None:
    """.dockerignore, which is about the checkout only."""
    return shutil.ignore_patterns("__pycache__") if source == ROOT else None
