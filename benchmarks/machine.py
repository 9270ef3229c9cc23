"""Describes the machine of a measurement."""

import json
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from gateway.server import interpreter

_PROGRAMS = (
    ("postgres", "--version"),
    ("redis-server", "--version"),
    ("nginx", "-v"),
    ("node", "--version"),
    ("gcc", "--version"),
    ("centrifugo", "version"),
)
_PACKAGES = (
    "uvicorn",
    "uvloop",
    "starlette",
    "websockets",
    "orjson",
    "hiredis",
    "redis",
    "asyncpg",
    "channels",
    "channels-redis",
)
_FOLDERS = (
    os.environ.get("PATH", ""),
    "/usr/sbin",
    str(Path.home() / "go/bin"),
    *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
)
_SOCKET_IO = Path(__file__).parent / "peers" / "socketio" / "node_modules"


def describe() -> str:
    """One paragraph: processor, cores, kernel and the versions of the measured programs."""
    versions = [_program(name, option) for name, option in _PROGRAMS]
    versions += [_debian("libnginx-mod-nchan"), *map(_npm, ("socket.io", "@socket.io/redis-adapter"))]
    versions += map(_python, _PACKAGES)
    parts = [_processor(), f"{os.cpu_count()} cores", platform.platform(), interpreter.build()]
    return "Measured on: " + ", ".join([*parts, *filter(None, versions)]) + "."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _program(name: str, option: str) -> str:
    program = shutil.which(name, path=os.pathsep.join(_FOLDERS))
    if program is None:
        return ""
    said = subprocess.run([program, option], capture_output=True, text=True, check=False)
    number = re.search(r"\d+\.[\d.]*\d", said.stdout + said.stderr)
    return f"{name} {number.group()}" if number else name


def _debian(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return ""
    command = ["dpkg-query", "--show", "--showformat=${Package} ${Version}", package]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout if said.returncode == 0 else ""


def _npm(package: str) -> str:
    path = _SOCKET_IO / package / "package.json"
    return f"{package} {json.loads(path.read_text())['version']}" if path.exists() else ""


def _python(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return ""
