"""axe-core, which finds what keeps people out of a page: names, roles, contrast, order, landmarks."""

from pathlib import Path
from typing import Final

from playwright.async_api import Page

AXE: Final = Path(__file__).parents[1] / "node/node_modules/axe-core/axe.min.js"
RULES: Final = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]},
}


async def violations(page: Page) -> list[str]:
    """What axe finds wrong in the page as it is now, with the place of each."""
    if await page.evaluate("typeof axe") == "undefined":
        await page.evaluate(AXE.read_text())  # the page's policy allows no script element, the debugger's are exempt
    found = await page.evaluate("async (rules) => (await axe.run(document, rules)).violations", RULES)
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]
