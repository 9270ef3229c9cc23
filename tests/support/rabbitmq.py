"""A real RabbitMQ for tests, in addition to the servers of `tests.support.servers`."""

from pathlib import Path

import aio_pika

from tests.support.servers import Server, answers, find_binary, free_port

_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
_START_FRAME = b"\x01\x00\x00"  # a method on channel 0: the broker greets


class _PortMapper(Server):
    """Erlang's `epmd` in the foreground: otherwise the first broker starts one that outlives all of them."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__([find_binary("epmd"), "-address", "127.0.0.1", "-port", str(self.port)], folder)

    def is_up(self) -> bool:
        """Whether it responds to a query for names."""
        return answers(self.port, b"\x00\x01n", b"\x00\x00")


class RabbitServer(Server):
    """A broker with `guest` and the virtual host `/`. Durable queues and messages survive a restart."""

    def __init__(self, folder: Path) -> None:
        (folder / "epmd").mkdir()
        self._mapper = _PortMapper(folder / "epmd")
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{self.port}\nlog.console = true\n")
        (folder / "plugins").write_text("[].\n")
        environ = {
            "HOME": folder,  # where the cookie is
            "ERL_EPMD_PORT": self._mapper.port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_MNESIA_BASE": folder / "mnesia",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",  # otherwise it busy-waits on every core
            "RUNNING_UNDER_SYSTEMD": "true",  # otherwise signals would reach the shell above the broker
        }
        words = [f"{name}={value}" for name, value in environ.items()]
        # not the script on PATH: that of Debian changes folder, user and log
        binary = find_binary("rabbitmq-server", "/usr/lib/rabbitmq/bin")
        super().__init__(["/usr/bin/env", *words, binary], folder)

    def is_up(self) -> bool:
        """Whether it greets clients."""
        return answers(self.port, _AMQP_HEADER, _START_FRAME)

    def start(self) -> None:
        """Start it and wait until it serves, for some seconds."""
        if not self._mapper.is_up():
            self._mapper.start()
        super().start()

    async def delete(self, *queues: str) -> None:
        """Delete these queues and their ownership marks, if they exist."""
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            for queue in queues:
                await channel.queue_delete(queue)
                await channel.exchange_delete(f"{queue}.owner")

    def stop(self) -> None:
        """Stop it finally."""
        super().stop()
        self._mapper.stop()
