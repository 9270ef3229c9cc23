"""A real Redis Cluster for tests: masters and optional replicas on free ports of 127.0.0.1."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from tests.support.servers import RedisServer, find_binary, free_port, wait_until

SLOTS = 16384
NODE_TIMEOUT_MS = 1500


class ClusterNode(RedisServer):
    """One server of it. With a `certificate` it speaks TLS to the others and, at `client_port`, to clients."""

    def __init__(self, folder: Path, certificate: Path | None) -> None:
        folder.mkdir()
        self.bus_port = free_port()
        options = ("--cluster-enabled", "yes", "--cluster-port", str(self.bus_port))
        timing = ("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--cluster-replica-validity-factor", "0")
        rest = ("--cluster-require-full-coverage", "no", "--repl-diskless-sync", "no")
        tls = _tls(certificate, free_port()) if certificate is not None else {}
        super().__init__(folder, *options, *timing, *rest, *(word for pair in tls.items() for word in pair))
        self.client_port = int(tls.get("--tls-port", self.port))

    def ask(self, *words: object) -> Any:
        """Its reply to a command."""
        with redis.Redis(port=self.port, decode_responses=True) as client:
            return client.execute_command(*words)

    @property
    def id(self) -> str:
        """Its name in the cluster."""
        return str(self.ask("CLUSTER", "MYID"))

    def slots_of(self) -> dict[int, str]:
        """The id of the master of each slot, in its view."""
        found: dict[int, str] = {}
        with redis.Redis(port=self.port, decode_responses=True) as client:
            for start, end, master, *_ in client.execute_command("CLUSTER SLOTS", NEVER_DECODE=True):
                found |= dict.fromkeys(range(start, end + 1), bytes(master[2]).decode())
        return found


class RedisCluster:
    """This number of masters with evenly distributed slots; `replicas[i]` follows `masters[i]`."""

    def __init__(self, folder: Path, masters: int, *, replicated: bool, certificate: Path | None) -> None:
        count = masters if replicated else 0
        self.masters = [ClusterNode(folder / f"master-{number}", certificate) for number in range(masters)]
        self.replicas = [ClusterNode(folder / f"replica-{number}", certificate) for number in range(count)]
        self._certificate = certificate

    @property
    def nodes(self) -> list[ClusterNode]:
        """All of them."""
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        """The value for REDIS_URL."""
        hosts = ",".join(f"127.0.0.1:{node.client_port}" for node in self.nodes)
        if self._certificate is None:
            return f"redis+cluster://{hosts}"
        return f"rediss+cluster://{hosts}/?ssl_ca_certs={self._certificate}"

    def start(self) -> None:
        """Start them and form the cluster; returns when all report it as healthy."""
        for node in self.nodes:
            node.start()
        share = -(-SLOTS // len(self.masters))
        for number, master in enumerate(self.masters):
            master.ask("CLUSTER", "ADDSLOTSRANGE", number * share, min(SLOTS, (number + 1) * share) - 1)
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        first = self.masters[0]
        for node in self.nodes[1:]:
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        wait_until(lambda: all(len(_known(node)) == len(self.nodes) for node in self.nodes), "all have met")
        for master, replica in zip(self.masters, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", master.id)
        self.wait()
        for replica in self.replicas:
            wait_until(lambda replica=replica: "master_link_status:up" in _replication(replica), "it follows")  # type: ignore[misc]

    def wait(self) -> None:
        """Return once all report the cluster as healthy."""
        wait_until(lambda: all(len(node.slots_of()) == SLOTS and _is_ok(node) for node in self.nodes), "all is well")

    def stop(self) -> None:
        """End them."""
        for node in self.nodes:
            node.stop()

    def master_of(self, key: str) -> ClusterNode:
        """The master of a key, in the view of the first live server."""
        owner = self.masters[0].slots_of()[key_slot(key.encode())]
        return next(node for node in self.nodes if node.id == owner)

    def move(self, slot: int, source: ClusterNode, target: ClusterNode) -> None:
        """Move a slot with its keys, as `redis-cli --cluster reshard` does."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)


@contextmanager
def run_redis_cluster(
    folder: Path, masters: int = 3, *, replicated: bool = False, tls: bool = False
) -> Iterator[RedisCluster]:
    """A cluster for the duration of a test."""
    folder.mkdir()
    certificate = _certify(folder / "certificate.pem") if tls else None
    cluster = RedisCluster(folder, masters, replicated=replicated, certificate=certificate)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _certify(path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    wanted = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2")
    uses = ("-addext", "keyUsage=critical,digitalSignature,keyCertSign")  # as Python 3.13 and newer demand
    named = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", "-")
    made = subprocess.run([find_binary("openssl"), *wanted, *uses, *named], capture_output=True, text=True, check=True)
    with path.open("a") as file:
        file.write(made.stdout)
    return path


def _tls(certificate: Path, port: int) -> dict[str, str]:
    files = {f"--tls-{part}-file": str(certificate) for part in ("cert", "key", "ca-cert")}
    return files | {"--tls-cluster": "yes", "--tls-port": str(port), "--tls-auth-clients": "no"}


def _known(node: ClusterNode) -> list[str]:
    lines = str(_raw(node, "CLUSTER", "NODES")).splitlines()
    return [line for line in lines if "handshake" not in line and "noaddr" not in line]


def _is_ok(node: ClusterNode) -> bool:
    return "cluster_state:ok" in str(_raw(node, "CLUSTER", "INFO"))


def _replication(node: ClusterNode) -> str:
    return str(_raw(node, "INFO", "replication"))


def _raw(node: ClusterNode, *words: str) -> str:
    with redis.Redis(port=node.port) as client:
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*words)
            answer: bytes = connection.read_response()
            return answer.decode()
        finally:
            client.connection_pool.release(connection)
