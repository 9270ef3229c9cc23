"""Pictures of the documentation, taken from pages in a browser."""

import base64
import os
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page

MAX_BYTES: Final = 200_000  # they are loaded with the pages that show them
_FRAME: Final = """<body style="margin: 0; display: inline-flex; gap: 20px; padding: 20px; background: #d9d7cf">
%s</body>"""
_IMAGE: Final = '<img style="border-radius: 12px; box-shadow: 0 2px 12px #0004" src="data:image/png;base64,%s">'


async def side_by_side(chromium: Browser, *pages: Page) -> bytes:
    """A PNG of these pages."""
    images = [base64.b64encode(await page.screenshot()).decode() for page in pages]
    frame = await (await chromium.new_context(viewport={"width": 1400, "height": 680})).new_page()
    await frame.set_content(_FRAME % "".join(_IMAGE % image for image in images))
    return await frame.locator("body").screenshot()


def keep(path: Path, picture: bytes) -> None:
    """Write it with `WRITE_SCREENSHOTS=1`; in any case both it and the one of the documentation are small PNGs."""
    if os.environ.get("WRITE_SCREENSHOTS") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
    for image in (picture, path.read_bytes()):
        assert image.startswith(b"\x89PNG")
        assert len(image) < MAX_BYTES
