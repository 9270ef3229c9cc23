"""A pgbouncer in transaction mode for tests."""

import os
import shutil
from pathlib import Path

from tests.support.servers import Server, find_binary, free_port, is_listening

_CONFIG = """
[databases]
* = host=127.0.0.1 port={postgres_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {server_connections}
server_round_robin = 1
{options}
"""


# The setting that operators add if clients that set these parameters on connect are rejected.
TOLERANT = "ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout"


class PgBouncer(Server):
    """Transactions share few server connections, so that reliance on session state soon fails."""

    def __init__(self, folder: Path, postgres_port: int, *, server_connections: int = 4, options: str = "") -> None:
        self.port = free_port()
        config = folder / "pgbouncer.ini"
        config.write_text(
            _CONFIG.format(
                postgres_port=postgres_port, port=self.port, server_connections=server_connections, options=options
            )
        )
        user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
        if user is not None:
            shutil.chown(folder, user)
        super().__init__([find_binary("pgbouncer", "/usr/sbin"), str(config)], folder, user=user)

    def url(self, postgres_url: str) -> str:
        """The URL of this database through the pooler."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{postgres_url.rpartition('/')[2]}"

    def is_up(self) -> bool:
        """Whether it accepts connections."""
        return is_listening(self.port)
