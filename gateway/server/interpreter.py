"""How this CPython was built: without the optimizations of its build it needs up to 28 % more CPU."""

import platform
import sys
import sysconfig
from typing import Final

PROFILE_GUIDED: Final = "--enable-optimizations"
LINK_TIME: Final = "--with-lto"


def build() -> str:
    """Version and build of this interpreter, for a report."""
    if _is_packaged():
        how = "of the distribution"
    elif _options() is None:
        how = "options unknown"
    else:
        how = ", ".join(map(_stated, (PROFILE_GUIDED, LINK_TIME)))
    return f"{platform.python_implementation()} {platform.python_version()} ({how})"


def slowness() -> str:
    """What is wrong with a build without optimizations, and what to do; empty for another or an unknown one."""
    if _is_packaged() or _options() is None or _has(PROFILE_GUIDED):
        return ""
    return (
        f"The Python in {sys.base_prefix} was built without {PROFILE_GUIDED}: it needs up to 28 % more CPU for the "
        "same work. Use one of a distribution, of uv or of the image python:3.11-slim, or build it with "
        f"{PROFILE_GUIDED} {LINK_TIME}."
    )


def _stated(option: str) -> str:
    return option if _has(option) else f"without {option}"


def _has(option: str) -> bool:
    return f"'{option}" in (_options() or "")


def _options() -> str | None:
    """The options of `configure`, each in quotes; None if they are unknown (Windows)."""
    options: str | None = sysconfig.get_config_var("CONFIG_ARGS")
    return options


def _is_packaged() -> bool:
    """Whether it belongs to a Linux distribution: Debian optimizes by other means than options of `configure`."""
    return sys.base_prefix == "/usr"
