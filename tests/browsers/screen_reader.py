"""Orca, the screen reader of GNOME, and Firefox on an X display without a screen.

Keys go to the display, as those of a keyboard do. What Orca says is read from a log; no voice is needed.
"""

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.browsers.browser import LIMIT_S, display, processes
from tests.support.servers import find_binary

PROGRAMS = ("orca", "xdotool", "openbox", "dbus-run-session", "firefox-esr")
_SPOKEN = "SPEECH OUTPUT: '"
_CUSTOMIZATIONS = """
import logging, pathlib

logger = logging.getLogger("speech")
logger.setLevel(logging.INFO)
logger.addHandler(logging.FileHandler(pathlib.Path.home() / "said.log"))
"""
"""Orca's own log of this is written with a delay."""
_SESSION = """
openbox &
/usr/libexec/at-spi-bus-launcher --launch-immediately &
orca &
until grep -qs "Screen reader on" "$HOME/said.log"; do sleep 0.2; done
xdotool mousemove 0 0
exec firefox-esr --no-remote --profile "$HOME/profile" "$1"
"""
_PREFERENCES = {
    "accessibility.force_disabled": -1,  # always on
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "signon.rememberSignons": False,
}


def is_installed() -> bool:
    """Whether Debian's `orca`, `xdotool`, `openbox` and `firefox-esr` are."""
    return all(map(shutil.which, PROGRAMS))


class ScreenReader:
    """Somebody at the keyboard who sees nothing."""

    def __init__(self, display_name: str, log: Path) -> None:
        self._display = display_name
        self._log = log
        self._heard = 0

    async def press(self, *keys: str) -> None:
        """Press keys, by their names in X, one after the other."""
        await self._xdotool("key", *keys)

    async def type(self, text: str) -> None:
        """Type a text."""
        await self._xdotool("type", "--delay", "30", text)

    async def title_becomes(self, pattern: str) -> None:
        """Wait until a window has a title that fits."""
        async with asyncio.timeout(LIMIT_S):
            await self._xdotool("search", "--sync", "--name", pattern)

    async def hears(self, *texts: str) -> str:
        """Wait until Orca says a line with all of these texts, after those of the earlier calls; returns it."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    lines = self._lines()
                    for number, line in enumerate(lines[self._heard :], self._heard + 1):
                        if all(text in line for text in texts):
                            self._heard = number
                            return line
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never said: {texts}, but: {self._lines()[self._heard :]}") from None

    def _lines(self) -> list[str]:
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        return [line.removeprefix(_SPOKEN) for line in log.splitlines()]

    async def _xdotool(self, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            find_binary("xdotool"), *arguments, env={"DISPLAY": self._display}, stdout=DEVNULL
        )
        assert await process.wait() == 0


@asynccontextmanager
async def run_screen_reader(folder: Path, url: str) -> AsyncIterator[ScreenReader]:
    """Orca and a window of Firefox with a page; `folder` is empty."""
    (folder / "profile").mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (folder / "profile/user.js").write_text("".join(lines))
    customizations = folder / ".local/share/orca/orca-customizations.py"
    customizations.parent.mkdir(parents=True)
    customizations.write_text(_CUSTOMIZATIONS)
    command = [find_binary("dbus-run-session"), "--", "/bin/sh", "-c", _SESSION, "session", url]
    accessible = {"GTK_MODULES": "gail:atk-bridge", "GNOME_ACCESSIBILITY": "1", "XDG_RUNTIME_DIR": str(folder)}
    async with (
        display(1280, 900) as name,
        processes(command, folder, DISPLAY=name, XDG_SESSION_TYPE="x11", **accessible),
    ):
        yield ScreenReader(name, folder / "said.log")
