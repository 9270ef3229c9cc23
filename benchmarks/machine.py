"""On what the figures were got."""

import os
import platform
import shutil
import subprocess
from pathlib import Path


def describe() -> str:
    """One paragraph: processor, cores, kernel, and the versions of what was measured."""
    programs = [_version(name, option) for name, option in _PROGRAMS]
    parts = [_processor(), f"{os.cpu_count()} cores", platform.platform(), f"CPython {platform.python_version()}"]
    return "Measured on: " + ", ".join([*parts, *filter(None, programs)]) + "."


_PROGRAMS = (("redis-server", "--version"), ("nginx", "-v"), ("node", "--version"), ("gcc", "--version"))


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str, option: str) -> str:
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return ""
    said = subprocess.run([program, option], capture_output=True, text=True, check=False)
    first = (said.stdout + said.stderr).splitlines()[0]
    return first if name in first.lower() else f"{name} {first}"
