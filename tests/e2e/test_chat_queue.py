"""Messages for chats through RabbitMQ, to members on two nodes."""

from pathlib import Path

import aio_pika
import orjson

from tests.support.cluster import run_cluster

QUEUE = "chat-messages"


async def test_message_from_queue_reaches_members(
    tmp_path: Path, redis_url: str, sqlite_url: str, amqp_url: str
) -> None:
    broker = {"AMQP_URL": amqp_url, "AMQP_CHAT_QUEUE": QUEUE}
    async with (
        run_cluster(tmp_path, redis_url, sqlite_url, **broker) as cluster,
        await aio_pika.connect(amqp_url) as connection,
        connection.channel() as channel,
    ):
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        sockets = [await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)]
        for fields in ({"text": "Paid."}, {"text": "Thank you!", "on_behalf_of": ann.id}):
            body = orjson.dumps({"chat_id": chat} | fields)
            await channel.default_exchange.publish(aio_pika.Message(body), QUEUE)
        for socket in sockets:
            await socket.until(lambda _, socket=socket: len(socket.seqs) == 2)
            senders = [frame["data"]["sender"]["id"] for frame in socket.of_type("message")]
            assert senders == [0, ann.id]
