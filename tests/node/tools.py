"""Programs from the npm packages of the tests."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parent / "node_modules"


async def run(program: str, *arguments: object) -> bytes:
    """What a program prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        MODULES / ".bin" / program, *map(str, arguments), stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output
