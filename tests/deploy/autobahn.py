"""Autobahn's own suite, by hand: `python -m tests.deploy.autobahn PYTHON2`.

It exists for CPython 2.7 alone, so no test may count on it: PYTHON2 is such an interpreter, with pip. Prints a Markdown
table for docs/transport.md; the exit code is 1 if a case failed that we mean to pass.
"""

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from tests.deploy.balancer import Balancer
from tests.support.cluster import run_cluster
from tests.support.servers import RedisServer
from tests.support.transport_server import LaneApp, echo, running, starlette_echo

SUITE: Final = "autobahntestsuite==25.10.1"
PROTOCOL: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
LARGE: Final = ("9.*",)
"""Up to 16 MiB, so only where the limit is raised for it."""
LARGE_BYTES: Final = 17 << 20
TOO_MANY_FRAGMENTS: Final = {f"9.{kind}.{number}" for kind in (3, 4) for number in (1, 2, 3, 4)}
"""4 MiB in 65,536 to 1,024 and a few frames: refused with 1009, and meant to be."""

_START: Final = """
import site, sys
site.addsitedir({0!r})
sys.path.insert(0, {0!r})
from autobahntestsuite import wstest
wstest.run()
"""


async def _run(*command: str) -> None:
    pipe, same = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=same)
    said, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(said.decode())


@asynccontextmanager
async def _servers(folder: Path) -> AsyncIterator[Mapping[str, tuple[str, Sequence[str]]]]:
    """URL and cases, by what is behind it."""
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    redis.start()
    try:
        async with (
            running(LaneApp(echo)) as lane,
            running(starlette_echo) as starlette,
            running(LaneApp(echo), ws_max_size=LARGE_BYTES) as large,
            run_cluster(folder / "nodes", redis.url, f"sqlite://{folder / 'x.db'}", nodes=1) as cluster,
        ):
            path = f"/channels/echo?token={(await cluster.user()).token}"
            port = cluster.nodes[0].port
            balancer = Balancer(folder / "nginx", [port], port)
            balancer.start()
            try:
                yield {
                    "lane": (f"ws://127.0.0.1:{lane.port}/", PROTOCOL),
                    "Starlette": (f"ws://127.0.0.1:{starlette.port}/", PROTOCOL),
                    "a node": (f"ws://127.0.0.1:{port}{path}", PROTOCOL),
                    "through nginx": (f"ws://{balancer.url}{path}", PROTOCOL),
                    "lane, 17 MiB": (f"ws://127.0.0.1:{large.port}/", LARGE),
                }
            finally:
                balancer.stop()
    finally:
        redis.stop()


async def main(python: str) -> int:
    """Run them one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder, suite, is_good = Path(name), str(Path(name) / "suite"), True
        await _run(python, "-m", "pip", "install", "--quiet", "--target", suite, SUITE)
        sys.stdout.write("| against | cases | OK | non-strict | failed | which |\n|---|---|---|---|---|---|\n")
        async with _servers(folder) as servers:
            for number, (agent, (url, cases)) in enumerate(servers.items()):
                report, spec = folder / f"report-{number}", folder / f"spec-{number}"
                server = {"agent": "us", "url": url}
                words = {"outdir": str(report), "servers": [server], "cases": cases, "exclude-cases": []}
                spec.write_text(json.dumps(words | {"exclude-agent-cases": {}}))
                await _run(python, "-c", _START.format(suite), "-m", "fuzzingclient", "-s", str(spec))
                results = json.loads((report / "index.json").read_text())["us"]
                verdicts = {case: _verdict(result) for case, result in results.items()}
                counts = Counter(verdicts.values())
                others = sorted((case for case, one in verdicts.items() if one != "OK"), key=_in_order)
                is_good &= {case for case, one in verdicts.items() if one == "FAILED"} <= TOO_MANY_FRAGMENTS
                row = (agent, len(verdicts), counts["OK"], counts["NON-STRICT"], counts["FAILED"], ", ".join(others))
                sys.stdout.write(f"| {' | '.join(map(str, row))} |\n")
    return 0 if is_good else 1


def _verdict(result: Mapping[str, str]) -> str:
    """OK, NON-STRICT or FAILED; what is merely for information counts as OK."""
    both = {result["behavior"], result["behaviorClose"]} - {"INFORMATIONAL"}
    return "OK" if both <= {"OK"} else "NON-STRICT" if both <= {"OK", "NON-STRICT"} else "FAILED"


def _in_order(case: str) -> list[int]:
    return [int(number) for number in case.split(".")]


if __name__ == "__main__":
    sys.exit(uvloop.run(main(sys.argv[1])))
