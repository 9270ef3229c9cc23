"""What operators read of a system over HTTP: its replicas and the settings of one, with the scope `admin`."""

from pathlib import Path
from typing import Any

import httpx

from tests.support.cluster import Cluster, run_cluster
from tests.support.waiting import eventually_async

ADMIN, OTHER = "admin-key-u9Yq2mTz7cKp", "other-key-u9Yq2mTz7cKp"
KEYS = f"ops:{ADMIN}:admin,shop:{OTHER}:users+chats+messages+moderate"


async def test_operator_sees_all_replicas_and_no_secret(tmp_path: Path, redis_url: str, database_url: str) -> None:
    settings = {"SERVICE_KEYS": KEYS, "RETENTION_DAYS": 7}
    async with (
        run_cluster(tmp_path, redis_url, database_url, **settings) as cluster,
        httpx.AsyncClient(headers={"X-Service-Key": ADMIN}) as http,
    ):
        await _replicas(cluster, http)
        await _settings(cluster, http)


async def _replicas(cluster: Cluster, http: httpx.AsyncClient) -> None:
    url = f"{cluster.nodes[1].url}/api/v1/replicas"
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    for number, user in enumerate((ann, bob)):
        await cluster.enter(number, chat, user)

    async def are_connected() -> bool:
        return [replica["connections"] for replica in (await http.get(url)).json()["replicas"]] == [1, 1]

    await eventually_async(are_connected)
    answer = (await http.get(url)).json()
    own = {replica["id"]: replica for replica in answer["replicas"]}[answer["answered_by"]]
    assert own["state"] == "ready"
    assert own["dependencies"] == {"redis": True, "subscription": True, "database": True}
    await (await cluster.enter(0, chat, ann)).send(type="message", text="x", client_msg_id="1")

    async def was_busy() -> bool:
        replicas = (await http.get(url)).json()["replicas"]
        return any(replica["stored_per_s"] > 0 and replica["delivery_lag_ms"] is not None for replica in replicas)

    await eventually_async(was_busy)
    cluster.nodes[0].kill()

    async def is_alone() -> bool:
        return [replica["id"] for replica in (await http.get(url)).json()["replicas"]] == [answer["answered_by"]]

    await eventually_async(is_alone)
    refused = await http.get(url, headers={"X-Service-Key": OTHER})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def _settings(cluster: Cluster, http: httpx.AsyncClient) -> None:
    url = f"{cluster.nodes[1].url}/api/v1/settings"
    answer = await http.get(url)
    listed: dict[str, Any] = {one["name"]: one for one in answer.json()["settings"]}
    assert listed["RETENTION_DAYS"]["value"] == "7"
    assert not listed["RETENTION_DAYS"]["is_default"]
    assert listed["MAX_TEXT_LENGTH"]["is_default"]
    assert (listed["APP_ENV"]["value"], listed["ALLOW_GUESTS"]["value"]) == ("development", "true")
    keys = "ops (admin) shop (chats+messages+moderate+users)"
    assert (listed["SERVICE_KEYS"]["value"], listed["SERVICE_KEYS"]["is_default"]) == (keys, False)
    for secret in (ADMIN, OTHER):
        assert secret not in answer.text
    assert (await http.get(url, headers={"X-Service-Key": OTHER})).status_code == 403
