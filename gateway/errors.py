"""What the gateway raises of its own.

GatewayError
├── RedisUnavailable   Redis did not answer in time; nothing is known to be wrong with the call
└── QueueUnavailable   the durable queue did not confirm in time
"""


class GatewayError(Exception):
    """Base of this package's errors."""


class RedisUnavailable(GatewayError):
    """Redis did not answer in time; the call may be tried again."""


class QueueUnavailable(GatewayError):
    """The durable queue did not confirm in time; the call may be tried again, with the same id."""
