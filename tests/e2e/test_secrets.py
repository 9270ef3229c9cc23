"""A running node never repeats tokens: not in its log, metrics or errors, wherever a client put them."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.cluster import run_cluster

JUNK = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."


def ways(token: str) -> list[dict[str, Any]]:
    """Every place where a handshake may have its token."""
    return [
        {"query": f"?token={token}"},
        {"additional_headers": {"Authorization": f"Bearer {token}"}},
        {"additional_headers": {"Cookie": f"access_token={token}"}, "origin": "http://localhost:3000"},
        {"subprotocols": ["bearer", token]},
    ]


async def test_no_token_appears_in_logs_responses_or_metrics(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, DEBUG=1, LOG_FORMAT="json") as cluster:
        (node,) = cluster.nodes
        ann = await cluster.user("ann")
        url = node.chat_url(await cluster.chat(ann))
        answers: list[str] = []
        for way in ways(ann.token):
            async with connect(url + way.pop("query", ""), proxy=None, **way) as socket:
                assert socket.subprotocol == ("bearer" if "subprotocols" in way else None)
                answers += [str(socket.response), str(await socket.recv())]
        for way in ways(JUNK):
            query, origin = way.pop("query", ""), way.pop("origin", None)
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url + query, proxy=None, **way):
                    pass
            assert refused.value.response.status_code == (403 if origin else 401)
            answers += [str(refused.value.response), str(refused.value.response.body)]
        async with httpx.AsyncClient(base_url=node.url) as http:
            for token in (ann.token, JUNK):
                for options in ({"params": {"token": token}}, {"headers": {"Authorization": f"Bearer {token}"}}):
                    for path in ("/api/v1/chats", "/api/v1/chats/999/messages", f"/nowhere/{token[:20]}", "/readyz"):
                        answer = await http.get(path, **options)  # type: ignore[arg-type]
                        answers += [answer.text, str(answer.headers)]
            answers.append((await http.get("/metrics")).text)
        said = node.log + "".join(answers)
    assert '"connected"' in said and '"refused"' in said
    secrets = [part for token in (ann.token, JUNK) for part in token.split(".") if part]
    assert len(secrets) == 5
    assert [secret for secret in secrets if secret in said] == []
