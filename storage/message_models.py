"""The tables of what belongs to messages: replies, mentions, reactions and their retention; see `storage.models`."""

from tortoise import fields, models

from storage.models import ChatLogEntry


class MessageReply(models.Model):
    """A message that replies to another one of its chat, `target_id`.

    Both are ids in `chat_log`. `seq` is that of the reply. `text` is the start of what the target held then, empty
    once the target is deleted. It is NULL for replies beyond the first thousand, which show the present text, so that
    a deletion has a bounded cost.
    """

    message_id = fields.BigIntField(primary_key=True, generated=False)
    target_id = fields.BigIntField()
    seq = fields.BigIntField()
    text = fields.TextField(null=True)

    class Meta:
        """Where it lives."""

        table = "replies"
        indexes = (("target_id", "seq"),)


class Mention(models.Model):
    """A member whom the message at this seq mentions.

    There is none of the sender, nor of a deleted message.
    """

    id = fields.BigIntField(primary_key=True)
    user_id = fields.BigIntField()
    chat_id = fields.BigIntField()
    seq = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "mentions"
        unique_together = (("user_id", "chat_id", "seq"),)
        indexes = (("chat_id", "seq"),)


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
