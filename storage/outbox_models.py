"""The tables of the transactional outbox (`docs/webhooks.md`). What the chat log has is read from it.

And who is present on which node, as events tell it; without such events these tables are empty.
"""

from tortoise import fields, models
from tortoise.indexes import Index


class OutboxPosition(models.Model):
    """How far an endpoint has read the chat log: all events up to the id `after_id`, but for `gaps` of ids.

    Gaps are written as `first-last-ended`, separated by spaces; see `storage.outbox.positions`.
    """

    endpoint = fields.CharField(primary_key=True, max_length=40)
    after_id = fields.BigIntField()
    gaps = fields.TextField()

    class Meta:
        """Where it lives."""

        table = "outbox_positions"


class OutboxHead(models.Model):
    """That events of a stream wait for an endpoint, until all are delivered.

    `stream` is a chat, or minus a user. Log events from `from_seq` to `to_seq` wait (none if it is greater), and rows
    of `outbox_events` if `has_extras`. `due_at` (Unix ms) is 0 for a row that was never tried or leased.
    """

    id = fields.BigIntField(primary_key=True)
    endpoint = fields.CharField(max_length=40)
    stream = fields.BigIntField()
    from_seq = fields.BigIntField()
    to_seq = fields.BigIntField()
    has_extras = fields.BooleanField()
    version = fields.BigIntField()
    due_at = fields.BigIntField()
    attempts = fields.IntField()
    failing_since = fields.BigIntField(null=True)
    error = fields.CharField(max_length=100)
    created_at = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "outbox"
        unique_together = (("endpoint", "stream"),)
        indexes = (Index(fields=("endpoint", "due_at", "id")),)


class OutboxEvent(models.Model):
    """An event for an endpoint that is not in the chat log, or is sent again, or a dead letter if `dead_at` is set.

    It comes after the log's event `after_seq`. `log_seq` is set in place of `data` for an event of the log, so that a
    deleted text is in one place. Times are in Unix ms.
    """

    id = fields.BigIntField(primary_key=True)
    endpoint = fields.CharField(max_length=40)
    stream = fields.BigIntField()
    after_seq = fields.BigIntField()
    log_seq = fields.BigIntField(null=True)
    type = fields.CharField(max_length=24)
    data = fields.TextField()
    created_at = fields.BigIntField()
    dead_at = fields.BigIntField(null=True)
    error = fields.CharField(max_length=100)

    class Meta:
        """Where it lives."""

        table = "outbox_events"
        indexes = (Index(fields=("endpoint", "stream", "id")), Index(fields=("dead_at", "id")))


class PresenceLease(models.Model):
    """A node that stores who is present. A lease that was not renewed (Unix ms) for a while is never renewed again."""

    id = fields.BigIntField(primary_key=True)
    renewed_at = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "presence_leases"


class PresentUser(models.Model):
    """A user who is present on the node of the lease. A user without a row is offline."""

    id = fields.BigIntField(primary_key=True)
    user_id = fields.BigIntField()
    lease_id = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "present_users"
        unique_together = (("user_id", "lease_id"),)
        indexes = (Index(fields=("lease_id", "user_id")),)
