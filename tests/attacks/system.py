"""The attacked system: two nodes in production mode behind the balancer that we ship, auth, and a control node apart.

The control shares the machine, Redis and the database with the attacked nodes, but gets no traffic of the attack: what
its clients wait is what the machine is short of.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.attacks.attacker import Plan
from tests.deploy.balancer import Balancer
from tests.support.auth_node import AuthNode
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.servers import PostgresServer, RedisServer

PASSWORD = "correct horse battery"
SETTINGS = {
    "APP_ENV": "production",
    "ALLOWED_ORIGINS": "https://chat.example.com",
    "TRUSTED_PROXIES": "127.0.0.1",
    "SERVICE_KEYS": "q8Zr2mVx7Lk4Tn9Bw6Jc3Hs5Dy1Fg0Pa",
}


@dataclass(frozen=True)
class System:
    """It runs, and the attacker has users in it."""

    cluster: Cluster
    auth: AuthNode
    balancer: Balancer
    plan: Plan

    @property
    def attacked(self) -> tuple[GatewayNode, GatewayNode]:
        """The nodes behind the balancer."""
        return self.cluster.nodes[0], self.cluster.nodes[1]

    @property
    def nodes(self) -> list[str]:
        """PORT/PID of the attacked nodes, then of the control."""
        return [f"{node.port}/{node.pid}" for node in self.cluster.nodes]

    async def owner_logs_in(self) -> int:
        """The status that the victim gets with the right password, from an address of its own."""
        transport = httpx.AsyncHTTPTransport(local_address="127.0.2.1")
        async with httpx.AsyncClient(transport=transport, timeout=30, trust_env=False) as http:
            account = {"login": self.plan.victim, "password": PASSWORD}
            return (await http.post(f"http://{self.balancer.url}/login", json=account)).status_code


async def _plan(cluster: Cluster, auth: AuthNode, port: int, sources: int) -> Plan:
    victim = "victim"
    (httpx.post(f"{auth.url}/register", json={"login": victim, "password": PASSWORD}, timeout=30)).raise_for_status()
    users: list[User] = [await cluster.user("attacker") for _ in range(sources)]
    chats = [await cluster.chat(user) for user in users]
    messages = []
    for user, chat in zip(users, chats, strict=True):
        url = f"{cluster.nodes[0].url}/api/v1/chats/{chat}/messages"
        answer = httpx.post(url, json={"text": "first " * 100}, headers=user.headers, timeout=30)
        messages.append(answer.raise_for_status().json()["id"])
    sprayed = [(await cluster.user("sprayed")).person.username for _ in range(60)]
    tokens = [user.token for user in users]
    return Plan(port, tokens, chats, messages, victim, sprayed, SETTINGS["SERVICE_KEYS"])


@asynccontextmanager
async def run_system(folder: Path, sources: int) -> AsyncIterator[System]:
    """Ready when this is entered; the attacker has a user for each of `sources`."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for name in ("redis", "postgres"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        postgres = PostgresServer(folder / "postgres", fsync="off")
        stack.callback(postgres.stop)
        postgres.start()
        url = postgres.create_database()
        cluster = await stack.enter_async_context(run_cluster(folder / "nodes", redis.url, url, nodes=3, **SETTINGS))
        auth = stack.enter_context(AuthNode(folder / "auth", REDIS_URL=redis.url, DATABASE_URL=url, **SETTINGS))
        attacked = [node.port for node in cluster.nodes[:2]]
        balancer = stack.enter_context(Balancer(folder / "nginx", attacked, auth.port))
        yield System(cluster, auth, balancer, await _plan(cluster, auth, balancer.port, sources))
