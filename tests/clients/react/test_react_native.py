"""The React hooks in components of React Native, by its preset for Jest, with a node."""

from pathlib import Path

import pytest

from tests.node.tools import output
from tests.support.cluster import run_cluster

FOLDER = Path(__file__).parents[2] / "react_native"


@pytest.mark.full
@pytest.mark.skipif(
    not (FOLDER / "node_modules").is_dir(), reason="`npm ci --prefix tests/react_native` installs React Native"
)
async def test_hooks_show_and_send_in_react_native(
    tmp_path: Path, redis_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_cluster(tmp_path, redis_url, postgres_url, nodes=1) as cluster:
        ann = await cluster.user("ann")
        monkeypatch.setenv("GATEWAY", cluster.nodes[0].url)
        monkeypatch.setenv("TOKEN", ann.token)
        monkeypatch.setenv("CHAT", str(await cluster.chat(ann)))
        printed = await output(
            FOLDER / "node_modules/.bin/jest", "--config", FOLDER / "jest.config.cjs", "--forceExit", limit_s=240
        )
        assert b"1 passed" in printed
