"""The durable inbound queue of seed 002, on RabbitMQ (`docs/queue.md`). Only this package uses aio-pika."""
