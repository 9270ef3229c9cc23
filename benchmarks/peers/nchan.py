"""nchan: nginx with its pub/sub module, through Redis. One process, like the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, handshake
from benchmarks.peers.listening import ListeningServer, PipelinedPosts, own_redis
from tests.support.servers import find_binary, free_port

MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"

_CONFIG = """
load_module {module};
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream redis {{ nchan_redis_server {redis}; }}
  server {{
    listen 127.0.0.1:{port};
    location = /sub {{ nchan_subscriber websocket; nchan_channel_id room; nchan_redis_pass redis;
      nchan_subscriber_first_message newest; }}
    location = /pub {{ nchan_publisher http; nchan_channel_id room; nchan_redis_pass redis;
      nchan_store_messages on; nchan_message_buffer_length 100; }}
  }}
}}
"""

SETTINGS = """nginx with nchan as Debian builds them, one process, through Redis in its default mode, where messages \
are kept (100 a channel) and so reach every node; published by pipelined POSTs over one connection; no access log."""


def missing() -> str:
    """What to install for it."""
    return "" if Path(MODULE).exists() else "install Debian's libnginx-mod-nchan"


class NchanRoom:
    """Every socket is a subscriber of the one channel."""

    extra = 0
    prefix = "x"
    message = b""
    hello = b""

    def __init__(self, server: ListeningServer, subscribers: int) -> None:
        self.pid = server.pid
        self.sockets = [Socket(server.port, handshake(server.port, "/sub")) for _ in range(subscribers)]
        self._posts = PipelinedPosts(server.port, "/pub", "x" * PAYLOAD_BYTES, "Accept: text/json")

    def publish(self, count: int, load: Load) -> None:
        """Publish by pipelined POSTs."""
        self._posts.publish(count)


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[NchanRoom]:
    """nchan as a contender."""
    with own_redis(folder) as redis:
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(module=MODULE, folder=folder, port=port, redis=redis.url.rpartition("/")[0]))
        nginx = find_binary("nginx", "/usr/sbin", "/usr/local/sbin")
        with ListeningServer([nginx, "-p", str(folder), "-e", "stderr", "-c", str(config)], folder, port) as server:
            yield NchanRoom(server, subscribers)
