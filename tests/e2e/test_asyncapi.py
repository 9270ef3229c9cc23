"""`/asyncapi.json` as a node serves it."""

from pathlib import Path

import httpx

from gateway.asyncapi.document import document
from tests.support.cluster import run_cluster


async def test_asyncapi_document_is_served_without_authentication(
    tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    settings = {"PUBLIC_URL": "https://chat.example.com", "MAX_TEXT_LENGTH": 7}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster:
        answer = httpx.get(f"{cluster.nodes[0].url}/asyncapi.json")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        version = answer.json()["info"]["version"]
        assert answer.json() == document(version=version, public_url="https://chat.example.com", max_text_length=7)
        assert answer.json()["servers"]["gateway"] == {"host": "chat.example.com", "protocol": "wss"}
        assert '"maxLength":7' in answer.text
