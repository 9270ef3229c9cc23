"""The tests of the modules of the page that need no browser, in Node."""

import asyncio
from pathlib import Path

HERE = Path(__file__).parent
TIMEOUT_S = 60


async def test_modules_of_the_page_pass_their_node_tests() -> None:
    files = sorted(map(str, HERE.glob("*.test.mjs")))
    assert files
    process = await asyncio.create_subprocess_exec(
        "node", "--test", *files, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
