"""A real broker that speaks TLS with a certificate of a private CA, as the chart's `tls.caSecret` mounts it."""

from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from tests.gateway.rabbitmq.bench import running
from tests.storage.nodes import Node
from tests.support.certificates import Authority
from tests.support.rabbitmq import RabbitServer
from tests.support.servers import free_port
from tests.support.waiting import eventually


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL of the broker, without the CA that verifies it."""
    folder, port = tmp_path / "broker", free_port()
    folder.mkdir()
    server = RabbitServer(folder)
    authority = Authority(tmp_path, "ours")
    pair = authority.issue("broker", "IP:127.0.0.1")
    lines = {
        "listeners.ssl.default": f"127.0.0.1:{port}",
        "ssl_options.cacertfile": authority.certificate,
        "ssl_options.certfile": pair.certificate,
        "ssl_options.keyfile": pair.key,
        "ssl_options.verify": "verify_none",  # of clients
    }
    with (folder / "rabbitmq.conf").open("a") as config:
        config.writelines(f"{name} = {value}\n" for name, value in lines.items())
    server.start()
    try:
        yield f"amqps://guest:guest@127.0.0.1:{port}/"
    finally:
        server.stop()


async def test_broker_of_a_private_ca_is_verified(node: Node, tmp_path: Path, url: str) -> None:
    async with running(node, f"{url}?cafile={tmp_path / 'ours.crt'}") as here:
        await eventually(lambda: here.queue.is_up)
    stranger = Authority(tmp_path, "stranger").certificate
    for unverified in (url, f"{url}?cafile={stranger}"):
        connection = aio_pika.Connection(URL(unverified))
        with pytest.raises(AMQPConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            await connection.connect()
        await connection.close()
