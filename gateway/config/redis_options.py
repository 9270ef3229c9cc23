"""The options after the `?` of a URL of Redis: those of redis-py that every client here takes, and no others."""

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

RESERVED: Final = "a URL whose user and password have their reserved characters percent-encoded (@ is %40, / is %2F)"

_ANY: Final = (".*", "text")
_FLAG: Final = ("(?i:true|false|yes|no|1|0)", "true or false")
_SECONDS: Final = (r"[0-9]{1,9}(\.[0-9]{1,9})?", "a number of seconds")
_OF_ALL: Final = {
    "username": _ANY,
    "password": _ANY,
    "client_name": _ANY,
    "db": ("[0-9]{1,9}", "a whole number"),
    "health_check_interval": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "socket_timeout": _SECONDS,
    "socket_keepalive": _FLAG,
}
_OF_TLS: Final = {
    "ssl_ca_certs": _ANY,
    "ssl_ca_data": _ANY,
    "ssl_cert_reqs": ("none|optional|required", "none, optional or required"),
    "ssl_certfile": _ANY,
    "ssl_check_hostname": _FLAG,
    "ssl_ciphers": _ANY,
    "ssl_keyfile": _ANY,
    "ssl_min_version": ("771|772", "771 (TLS 1.2) or 772 (TLS 1.3)"),
}
_OF_SENTINELS: Final = {"sentinel_username": _ANY, "sentinel_password": _ANY}


def check_options(url: str) -> None:
    """Raises: ValueError with what the URL must be, and no value of it; an unknown option is named."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    user = place.rpartition("@")[0]
    if "@" in query or "#" in rest or re.search(r"[@\[\]\s]", user):
        raise ValueError(RESERVED)
    known = dict(_OF_ALL)
    if scheme.startswith("rediss"):
        known |= _OF_TLS
    if scheme.endswith("+sentinel"):
        known |= _OF_SENTINELS
    try:
        unquote(place, errors="strict")
        urlsplit(f"//{user}@")  # knows what would be a reserved character after NFKC
        options = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise ValueError("a URL whose percent-encoded parts are UTF-8, with at most 50 options") from None
    for name, value in options:
        if not re.fullmatch(r"[A-Za-z0-9_]{1,40}", name):
            raise ValueError(f"{RESERVED}, and whose options are name=value")
        if name not in known:
            needs_tls = " (it needs rediss://)" if name in _OF_TLS else ""
            raise ValueError(
                f"a URL without the parameter {name}{needs_tls}: the ones that work are {', '.join(sorted(known))}"
            )
        pattern, meaning = known[name]
        if not re.fullmatch(pattern, value, re.DOTALL):
            raise ValueError(f"a URL whose {name} is {meaning}")
