"""The timeout of the tests' HTTP calls.

httpx waits for 5 s unless a call says otherwise; a busy machine can take longer, and only what hangs should fail.
"""

from inspect import unwrap
from typing import Any, Final

import httpx

TIMEOUT_S: Final = 60.0


def extend_http_timeout() -> None:
    """Let each call of httpx without a timeout of its own wait for TIMEOUT_S."""
    functions = (httpx.request, httpx.get, httpx.post, httpx.put, httpx.patch, httpx.delete, httpx.stream)
    calls: tuple[Any, ...] = (httpx.Client.__init__, httpx.AsyncClient.__init__, *functions)
    for call in calls:
        unwrap(call).__kwdefaults__["timeout"] = httpx.Timeout(TIMEOUT_S)
