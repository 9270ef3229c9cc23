"""kubectl and Helm of the oldest and the newest supported Kubernetes, and what they make of our files.

They come in npm packages for Linux on x86-64, which scripts/test installs; elsewhere what is on PATH stands for both.
"""

import json
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.servers import ServerFailed, find_binary

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/chat-gateway"
PACKAGES = Path(__file__).parent / "tools/node_modules"
AGES = {"oldest": "1.29", "newest": "1.35"}
"""The Kubernetes of each."""
HANG_S = 300
"""A program that takes longer hangs: a bound of the tests, not of its speed."""

Object = dict[str, Any]


class Refused(Exception):
    """The program's own complaint."""


def program(name: str, age: str) -> str:
    """The path of `kubectl` or `helm` of this age."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return find_binary(name)
    package = PACKAGES / age
    path = package / "unpacked" / name / name
    if not path.is_file():
        archive = package / "lib/layer.zip"
        if not archive.is_file():
            raise ServerFailed(f"{name} is not installed: scripts/test installs what the tests need")
        unpack_program(archive, f"{name}/{name}", path)
    return str(path)


def unpack_program(archive: Path, member: str, path: Path) -> None:
    """Unpack a program so that other test processes see it whole or not at all.

    Executing a file that is still open for writing fails (ETXTBSY), and so does one that is not executable yet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, zipfile.ZipFile(archive) as packed:
        unpacked = Path(packed.extract(member, folder))
        unpacked.chmod(0o755)
        unpacked.replace(path)


def run(*command: str) -> str:
    """What a program prints.

    Raises: Refused, with its errors.
    """
    ended = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, cwd=ROOT)
    if ended.returncode != 0:
        raise Refused(ended.stderr + ended.stdout)
    return ended.stdout


def kustomized(folder: str, age: str = "newest") -> list[Object]:
    """What `kubectl kustomize` makes of a folder."""
    return objects(run(program("kubectl", age), "kustomize", str(ROOT / folder)))


def charted(
    values: Mapping[str, Any] | None = None, *options: str, age: str = "newest", release: str = "demo"
) -> list[Object]:
    """What Helm renders with these values, hooks and tests included."""
    return objects(helm("template", values, *options, age=age, release=release))


def helm(
    verb: str,
    values: Mapping[str, Any] | None = None,
    *options: str,
    age: str = "newest",
    chart: Path = CHART,
    release: str = "demo",
) -> str:
    """What `helm template demo …` and the like print. The values go through a file, as people's do."""
    name = [] if verb == "lint" else [release]
    command = [program("helm", age), verb, *name, str(chart), "--values", "-", *options]
    said = json.dumps(values or {})
    environ = {"HOME": "/nowhere"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, input=said, env=environ)
    if ended.returncode != 0:
        raise Refused(ended.stderr + ended.stdout)
    return ended.stdout


def objects(text: str) -> list[Object]:
    """The objects of a stream of YAML; no two of them have the same kind and name."""
    found = [document for document in yaml.safe_load_all(text) if document]
    names = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert len(names) == len(set(names)), names
    return found


def one(among: list[Object], kind: str, name: str) -> Object:
    """The object of this kind and name."""
    (found,) = [each for each in among if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def images(built: list[Object]) -> set[str]:
    """The images of all pods."""
    templates = [each["spec"]["template"] for each in built if "template" in each.get("spec", {})]
    pods = [template["spec"] for template in templates] + [each["spec"] for each in built if each["kind"] == "Pod"]
    return {container["image"] for pod in pods for container in pod["containers"]}


def find_debian(name: str) -> str:
    """A program of Debian's."""
    return shutil.which(name) or find_binary(name, "/usr/sbin", "/usr/local/sbin")
