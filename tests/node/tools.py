"""Programs from the npm packages of the tests."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parent / "node_modules"
_TESTS_LIMIT_S: Final = 60
"""Ends a hang."""


async def run(program: str, *arguments: object) -> bytes:
    """What a program prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        MODULES / ".bin" / program, *map(str, arguments), stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output


async def run_test_files(folder: Path) -> None:
    """Run every `*.test.mjs` of a folder with Node's test runner; all must pass."""
    files = sorted(folder.glob("*.test.mjs"))
    assert files
    process = await asyncio.create_subprocess_exec("node", "--test", *files, stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(_TESTS_LIMIT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
