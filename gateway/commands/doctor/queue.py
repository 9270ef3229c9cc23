"""The check of RabbitMQ: it answers, and accepts the login of AMQP_URL."""

from urllib.parse import urlsplit

from gateway.commands.doctor.finding import Findings, ok, wrong
from gateway.config.settings import Settings
from gateway.errors import QueueUnavailable
from gateway.rabbitmq.connection import check_login


async def check_queue(settings: Settings) -> Findings:
    """The finding; none without AMQP_URL."""
    if not settings.amqp_url:
        return
    where = urlsplit(settings.amqp_url).netloc.rpartition("@")[2]
    try:
        await check_login(settings.amqp_url)
    except QueueUnavailable as error:
        yield wrong(
            "queue", f"RabbitMQ at {where} cannot be used: {error}.", "Check AMQP_URL, and the rights of its user."
        )
    else:
        yield ok("queue", f"RabbitMQ at {where} accepts the login of AMQP_URL.")
