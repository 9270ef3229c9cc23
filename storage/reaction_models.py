"""The table of reactions; see `storage.models`."""

from tortoise import fields, models

from storage.models import ChatLogEntry


class MessageReaction(models.Model):
    """A reaction of a user to a message, until it is removed. `chat_log` has its history.

    `chat_log.reactions` of the message counts them. They go with the row of their message.
    """

    id = fields.BigIntField(primary_key=True)
    chat_id = fields.BigIntField()
    message: fields.ForeignKeyRelation[ChatLogEntry] = fields.ForeignKeyField(
        "storage.ChatLogEntry", related_name=False, on_delete=fields.CASCADE
    )
    user_id = fields.BigIntField()
    key = fields.CharField(max_length=32)

    class Meta:
        """Where it lives."""

        table = "reactions"
        unique_together = (("message", "user_id", "key"),)
