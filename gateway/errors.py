"""What the gateway raises of its own.

GatewayError
└── RedisUnavailable   Redis did not answer in time; nothing is known to be wrong with the call
"""


class GatewayError(Exception):
    """Base of this package's errors."""


class RedisUnavailable(GatewayError):
    """Redis did not answer in time; the call may be tried again."""
