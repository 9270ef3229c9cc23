"""The durable inbound queue of seed 002, on RabbitMQ (`docs/queue.md`); aio-pika is known here and nowhere else."""
