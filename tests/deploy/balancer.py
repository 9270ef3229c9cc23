"""The load balancer of docker-compose.yml, on a real nginx.

Debian's nginx is older than `resolve` in an upstream (1.27.3) and here is no Docker to resolve by, so the addresses are
written in; every other line is what the container gets.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.deploy.programs import ROOT, find_debian
from tests.support.servers import Server, answers, free_port

SOURCE = ROOT / "deploy/nginx"


class Balancer(Server):
    """nginx with our two files."""

    def __init__(self, folder: Path, gateways: Sequence[int], auth: int) -> None:
        self.port = free_port()
        self.url = f"127.0.0.1:{self.port}"
        folder.mkdir()
        chat = (SOURCE / "chat.conf.template").read_text()
        for old, new in (
            (
                "server ${APP_PROXY_LINK}:${APP_PROXY_PORT} max_fails=0 resolve;",
                " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in gateways),
            ),
            ("server auth:8001 max_fails=0 resolve;", f"server 127.0.0.1:{auth} max_fails=0;"),
            ("listen 8000 ", f"listen {self.url} "),
        ):
            assert chat.count(old) == 1, old
            chat = chat.replace(old, new)
        (folder / "chat.conf").write_text(chat)
        main = (SOURCE / "nginx.conf").read_text()
        main = main.replace("/tmp/", f"{folder}/").replace("/etc/nginx/conf.d/*.conf", str(folder / "chat.conf"))
        # as one user and one process; and no more files than a test may open
        main = main.replace("30000", "9000").replace("65536", "10000")
        (folder / "nginx.conf").write_text(main)
        command = [find_debian("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        super().__init__([*command, "-g", "daemon off; master_process off;"], folder)

    def is_up(self) -> bool:
        """Whether it answers."""
        return answers(self.port, b"GET /livez HTTP/1.1\r\nHost: chat\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return (self.folder / "server.log").read_text()
