"""The table of the retention of messages; see `storage.models`."""

from tortoise import fields, models


class RetentionPass(models.Model):
    """The only row says which node removes old messages, how far it is, and when the next pass is due.

    Times are in Unix seconds. `chat_cursor` is the last chat that the pass has done with.
    """

    id = fields.SmallIntField(primary_key=True, generated=False)
    claimed_by = fields.CharField(max_length=80, default="")
    claimed_until = fields.BigIntField(default=0)
    due_at = fields.BigIntField(default=0)
    chat_cursor = fields.BigIntField(default=0)

    class Meta:
        """Where it lives."""

        table = "retention_passes"
