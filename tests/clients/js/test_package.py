"""The JavaScript client without a server: its size, its types, and its parts in Node."""

import gzip
from pathlib import Path

from tests.node.tools import run, run_test_files

CLIENT = Path(__file__).parents[3] / "clients/js"
MAX_BYTES = 10 * 1024


async def test_compressed_client_has_at_most_10_kb() -> None:
    minified = await run("esbuild", "--bundle", "--minify", "--format=esm", "--charset=utf8", CLIENT / "index.js")
    assert len(gzip.compress(minified, 9, mtime=0)) <= MAX_BYTES


async def test_parts_of_the_client_pass_their_node_tests() -> None:
    await run_test_files(Path(__file__).parent)


async def test_types_allow_what_the_client_has_and_nothing_else() -> None:
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--types", ""]
    await run("tsc", *options, Path(__file__).parent / "uses.mts")
