"""The gateway's own exceptions. Error responses are `httpapi.errors.Problem`.

GatewayError
├── RedisUnavailable          Redis did not respond in time; the call itself may be valid
│   └── RedisRefused          Redis replied with an error
├── RedisConnectionLost       a connection to Redis was lost, or could not be made
│   └── RedisAccessRefused    because Redis rejects the password or rights
├── QueueUnavailable          the durable queue did not confirm in time
│   └── QueueRefused          RabbitMQ rejects the login, rights or queue
├── SendFailed                events were not taken by an endpoint; they are sent again
├── WorkTaken                 another node goes on with a task of this one
├── SeveralOwners             a client_id without a user who is meant, and several have it
├── AddingForbidden           users may not add others to chats here
├── TooManyStrangers          the limit of strangers whom a user may name as members
├── BadHost                   a request without the one valid Host header
├── InvalidSetting            the value of one setting
├── SettingsError             the settings together, with a sentence for each problem
└── CommandError              ends a command with exit code 1; the text is shown to the user
    ├── CannotListen
    ├── CannotStart
    ├── StartFailed
    ├── DataDirUnusable
    ├── NoFreePort
    └── NoRedis
"""

from collections.abc import Sequence


class GatewayError(Exception):
    """Base class of the gateway's exceptions."""


class RedisUnavailable(GatewayError):
    """Redis did not respond in time; the call may be retried."""


class RedisRefused(RedisUnavailable):
    """Redis replied with an error: out of memory, read-only, loading … `code` is its first word.

    Callers treat it as unavailability, because a replica or a full Redis recovers without an action of this node.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.partition(" ")[0]


class RedisConnectionLost(GatewayError):
    """The connection was lost, or could not be made."""


class RedisAccessRefused(RedisConnectionLost):
    """Redis or a Sentinel rejects the password or rights; the text is the server's, `reason` a sentence of ours."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class QueueUnavailable(GatewayError):
    """The durable queue did not confirm in time; the call may be retried with the same id."""


class QueueRefused(QueueUnavailable):
    """RabbitMQ rejects the login, rights or queue: a configuration error, which retrying cannot fix."""


class SendFailed(GatewayError):
    """An endpoint did not take the events in time; the text is short and contains neither its URL nor a secret."""


class WorkTaken(GatewayError):
    """Another node goes on with the work, because this one was too slow."""


class SeveralOwners(GatewayError):
    """Several users are connected with this client_id, and the call names none of them."""


class AddingForbidden(GatewayError):
    """ALLOW_ADDING leaves it to services to add users to chats."""


class TooManyStrangers(GatewayError):
    """The user has named too many strangers as members of chats, and may go on in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class BadHost(GatewayError):
    """The request does not have the one valid Host header that RFC 9112 §3.2 demands."""


class InvalidSetting(GatewayError):
    """The value of a setting is invalid; the text says what it must be."""


class SettingsError(GatewayError):
    """The settings are invalid; each of `problems` is a sentence that names its setting."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CommandError(GatewayError):
    """An error that ends the command with exit code 1; its text is shown to the user."""


class CannotListen(CommandError):
    """The port cannot be bound, or another process listened on it between `bind` and the start of the server."""


class CannotStart(CommandError):
    """The ports of `up` do not fit each other, do not exist, or are taken."""


class StartFailed(CommandError):
    """A child of `up` exited before it had ever worked; it has reported the reason itself."""


class DataDirUnusable(CommandError):
    """Another `up` uses the folder, or it cannot be created."""


class NoFreePort(CommandError):
    """Every port that was tried is taken."""


class NoRedis(CommandError):
    """No Redis is installed on this machine, or it does not start."""
