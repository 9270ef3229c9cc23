"""The certificates that httpx trusts, read once: to read them takes longer than most requests of a test, and httpx does
so for every client.
"""

import os
import ssl
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import httpx


def share_certificates() -> None:
    """Let the clients of this process that trust the usual certificates share a context from now on."""
    httpx.Client.__init__ = _sharing(httpx.Client.__init__)  # type: ignore[method-assign]
    httpx.AsyncClient.__init__ = _sharing(httpx.AsyncClient.__init__)  # type: ignore[method-assign]


def _sharing(init: Callable[..., None]) -> Callable[..., None]:
    @wraps(init)
    def init_sharing(self: object, **options: Any) -> None:
        if options.get("verify", True) is True:
            where = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
            options["verify"] = _context(options.get("trust_env", True), where)
        init(self, **options)

    return init_sharing


@cache
def _context(trust_env: bool, where: tuple[str | None, str | None]) -> ssl.SSLContext:
    """What httpx makes for itself; `where` are the variables that it reads if it trusts the environment."""
    return httpx.create_ssl_context(trust_env=trust_env)
