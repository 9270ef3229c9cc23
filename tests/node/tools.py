"""Programs from the npm packages of the tests."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parent / "node_modules"
_LIMIT_S: Final = 120
_TESTS_LIMIT_S: Final = 60
"""Both end a hang."""


async def output(*command: object, limit_s: float = _LIMIT_S) -> bytes:
    """What a program prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=PIPE, stderr=STDOUT)
    try:
        async with asyncio.timeout(limit_s):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, printed.decode()
    return printed


async def run(program: str, *arguments: object) -> bytes:
    """What a program of the packages prints; it must succeed."""
    return await output(MODULES / ".bin" / program, *arguments)


async def run_test_files(folder: Path) -> None:
    """Run every `*.test.mjs` of a folder with Node's test runner; all must pass."""
    files = sorted(folder.glob("*.test.mjs"))
    assert files
    await output("node", "--test", *files, limit_s=_TESTS_LIMIT_S)
