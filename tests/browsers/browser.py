"""A browser of Debian's, at the size of a phone and driven by touch, in processes and a profile of its own."""

import asyncio
import base64
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.browsers.webdriver import ELEMENT, HttpSession, MarionetteSession, Session
from tests.support.servers import find_binary, free_port, is_listening, tethered

WIDTH, HEIGHT = 390, 844
LIMIT_S = 90
"""Ends a hang; it asserts no speed."""
NAMES = ("chromium", "firefox", "webkit")
INSECURE = {"acceptInsecureCerts": True}
"""The certificates of tests are of no known authority."""


class Browser:
    """One window."""

    def __init__(self, session: Session, group: int) -> None:
        self._session = session
        self._group = group

    async def goto(self, url: str) -> None:
        """Load a page."""
        await self._session.call("Navigate", url=url)

    async def reload(self) -> None:
        """Load the page again."""
        await self._session.call("Refresh")

    async def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns, or what its promise becomes."""
        return await self._session.call("ExecuteScript", script=script, args=list(arguments))

    async def until(self, expression: str, *arguments: Any) -> Any:
        """Wait until an expression in `arguments` is truthy, and return it."""
        value = None
        try:
            async with asyncio.timeout(LIMIT_S):
                while not (value := await self.run(f"return {expression}", *arguments)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            shown = await self.run("return document.body.innerText")
            raise AssertionError(f"never: {expression} {arguments}; the page shows: {shown}") from None
        return value

    async def texts(self, css: str) -> list[str]:
        """The texts of all such elements."""
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)"
        found: list[str] = await self.run(script, css)
        return found

    async def type(self, css: str, text: str) -> None:
        """Type into an element, once it is there."""
        await self._session.call("ElementSendKeys", id=await self._find(css), text=text)

    async def tap(self, css: str) -> None:
        """Touch the centre of an element with a finger, once it is there, does not move and nothing covers it."""
        await self._find(css)
        async with asyncio.timeout(LIMIT_S):
            while not (centre := await self.run(_STILL_CENTRE, css)):
                await asyncio.sleep(0.05)
        x, y = centre
        finger = {
            "type": "pointer",
            "id": "finger",
            "parameters": {"pointerType": "touch"},
            "actions": [
                {"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)},
                {"type": "pointerDown", "button": 0},
                {"type": "pause", "duration": 20},
                {"type": "pointerUp", "button": 0},
            ],
        }
        await self._session.call("PerformActions", actions=[finger])

    async def screenshot(self, path: Path) -> None:
        """Write what the window shows, as PNG."""
        path.write_bytes(base64.b64decode(await self._session.call("TakeScreenshot")))

    def sleep(self) -> None:
        """Freeze all of its processes, as a device that sleeps."""
        os.killpg(self._group, signal.SIGSTOP)

    def wake(self) -> None:
        """Let them continue."""
        os.killpg(self._group, signal.SIGCONT)

    async def _find(self, css: str) -> str:
        await self.until("document.querySelector(arguments[0])?.checkVisibility()", css)
        found = await self._session.call("FindElement", using="css selector", value=css)
        return str(found[ELEMENT])


_STILL_CENTRE = """
const one = document.querySelector(arguments[0]);
if (!one) return null;
one.scrollIntoView({block: "nearest"});
const centre = () => {
    const {x, y, width, height} = one.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
};
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
const before = centre();
return frame().then(frame).then(() => {
    const now = centre();
    return String(now) === String(before) && one.contains(document.elementFromPoint(...now)) ? now : null;
});
"""


@asynccontextmanager
async def run_browser(name: str, folder: Path) -> AsyncIterator[Browser]:
    """A window of `chromium`, `firefox` or `webkit`; `folder` is empty."""
    async with {"chromium": _chromium, "firefox": _firefox, "webkit": _webkit}[name](folder) as (session, group):
        try:
            yield Browser(session, group)
        finally:
            await session.close()


@asynccontextmanager
async def _chromium(folder: Path) -> AsyncIterator[tuple[Session, int]]:
    port = free_port()
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    quiet = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
    options = {
        "binary": binary,
        "args": ["--headless=new", f"--user-data-dir={folder}/profile", *quiet],
        "mobileEmulation": {"deviceMetrics": {"width": WIDTH, "height": HEIGHT, "pixelRatio": 2, "touch": True}},
    }
    async with processes([find_binary("chromedriver"), f"--port={port}"], folder) as group:
        await _listening(port)
        yield await HttpSession.open(port, {"goog:chromeOptions": options, **INSECURE}), group


@asynccontextmanager
async def _firefox(folder: Path) -> AsyncIterator[tuple[Session, int]]:
    profile = folder / "profile"
    profile.mkdir()
    port = free_port()
    preferences = {
        "marionette.port": port,
        "dom.w3c_touch_events.enabled": 1,
        "ui.primaryPointerCapabilities": 1,  # coarse
        "ui.allPointerCapabilities": 1,
        "toolkit.legacyUserProfileCustomizations.stylesheets": True,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
    }
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
    (profile / "user.js").write_text("".join(lines))
    (profile / "chrome").mkdir()
    (profile / "chrome/userChrome.css").write_text(":root { min-width: 0 !important; }")  # else 500 pixels
    command = [
        shutil.which("firefox") or find_binary("firefox-esr"),
        "--headless",
        "--kiosk",
        "--marionette",
        "--no-remote",
        "--profile",
        str(profile),
    ]
    async with processes(command, folder, MOZ_HEADLESS_WIDTH=str(WIDTH), MOZ_HEADLESS_HEIGHT=str(HEIGHT)) as group:
        await _listening(port)
        yield await MarionetteSession.open(port, INSECURE), group


@asynccontextmanager
async def _webkit(folder: Path) -> AsyncIterator[tuple[Session, int]]:
    port = free_port()
    binary = find_binary("MiniBrowser", "/usr/lib/*/webkit2gtk-4.1")
    options = {"binary": binary, "args": ["--automation", "--full-screen"]}
    command = [find_binary("WebKitWebDriver"), f"--port={port}"]
    async with display(WIDTH, HEIGHT) as name, processes(command, folder, DISPLAY=name) as group:
        await _listening(port)
        session = await HttpSession.open(port, {"webkitgtk:browserOptions": options, **INSECURE})
        await session.call("SetWindowRect", width=WIDTH, height=HEIGHT)
        yield session, group


@asynccontextmanager
async def display(width: int, height: int) -> AsyncIterator[str]:
    """The name of an X display without a screen, for a browser that needs one."""
    ours, its = os.pipe()
    command = [find_binary("Xvfb"), "-displayfd", str(its), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    process = await asyncio.create_subprocess_exec(
        *tethered(command), pass_fds=[its], stderr=asyncio.subprocess.DEVNULL
    )
    os.close(its)
    try:
        with os.fdopen(ours) as number:
            name = await asyncio.to_thread(number.readline)  # its end, if Xvfb fails
        yield f":{name.strip()}"
    finally:
        process.terminate()  # so that it removes the lock of its number
        await process.wait()


@asynccontextmanager
async def processes(command: Sequence[str], folder: Path, **environ: str) -> AsyncIterator[int]:
    """The group of a program and all that it starts, which end with the block."""
    kept: Mapping[str, str] = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with (folder / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *tethered(command),
            env={**kept, "HOME": str(folder), **environ},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not is_listening(port):
            await asyncio.sleep(0.05)
