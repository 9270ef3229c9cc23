"""The tests of the modules of the page that need no browser, in Node."""

from pathlib import Path

from tests.node.tools import run_test_files


async def test_modules_of_the_page_pass_their_node_tests() -> None:
    await run_test_files(Path(__file__).parent)
