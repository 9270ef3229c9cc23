"""A module of the tests as a process of its own, so that its work does not delay what the test measures."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class PythonProcess:
    """The process. It prints `connected`, begins when it reads a line, and prints JSON as its last line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(cls, module: str, *arguments: object) -> AsyncIterator["PythonProcess"]:
        """Ready for `go` when this is entered."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *map(str, arguments), stdin=pipe, stdout=pipe, cwd=ROOT
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(90):
                assert await process.stdout.readline() == b"connected\n"
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def go(self) -> None:
        """Begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def report(self) -> Any:
        """What it printed at its end."""
        assert self._process.stdout is not None
        async with asyncio.timeout(300):
            lines = (await self._process.stdout.read()).splitlines()
            assert await self._process.wait() == 0
        return json.loads(lines[-1])
