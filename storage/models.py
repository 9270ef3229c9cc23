"""The tables. ORM objects never leave `storage/`: what goes out are the records of `storage.records`."""

from tortoise import fields, models
from tortoise.indexes import Index

from storage.records import ChatKind, Direction, EventKind, Role


class User(models.Model):
    """An account. `login_folded` makes logins unique whatever their letter case.

    `kept_fields` are the columns, by comma, that a service has set and tokens no longer change. `changed_at` is when
    the names changed last, in Unix milliseconds, 0 for never. `erased_at` (Unix seconds) is set for a user who was
    deleted: the row stays, since messages name it.
    """

    id = fields.BigIntField(primary_key=True)
    login = fields.CharField(max_length=255)
    login_folded = fields.CharField(max_length=255, unique=True)
    password_hash = fields.TextField()
    first_name = fields.TextField(default="")
    last_name = fields.TextField(default="")
    display_name = fields.TextField(default="", db_default="")
    avatar_url = fields.TextField(default="", db_default="")
    data = fields.TextField(default="", db_default="")
    kept_fields = fields.TextField(default="", db_default="")
    changed_at = fields.BigIntField(default=0, db_default=0, db_index=True)
    erased_at = fields.BigIntField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """Where it lives."""

        table = "users"


class OutsideIdentity(models.Model):
    """Which user of ours somebody is whom another issuer vouches for: its `iss` and `sub`, to the letter.

    `claims_issued_at` is the `iat` of the token whose names the user has, `claims_written_at` when they were written,
    both in Unix seconds.
    """

    id = fields.BigIntField(primary_key=True)
    issuer = fields.CharField(max_length=255)
    subject = fields.CharField(max_length=255)
    user: fields.OneToOneRelation[User] = fields.OneToOneField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )
    claims_issued_at = fields.BigIntField(default=0, db_default=0)
    claims_written_at = fields.BigIntField(default=0, db_default=0)

    class Meta:
        """Where it lives."""

        table = "identities"
        unique_together = (("issuer", "subject"),)
        indexes = (Index(fields=("subject",)),)


class ChatRoom(models.Model):
    """A chat. Its row is the lock under which its log and its members change.

    `creator` is its owner, see `storage.repositories.owners`.
    `created_by` is the user for whose quota it counts; NULL if a service created it, or a version without quotas.
    `data` is a JSON object, or empty; `version` grows with each change of what `storage.chat_records` has of it.
    Events before `first_seq` were removed by retention; the log is without holes from there to `last_seq`.
    `changed_in` is the transaction that last changed members, details or `first_seq` (`storage.log.recent_changes`).
    A chat that `is_removed` does not exist for anybody; its rows are being deleted.
    `direct_key` ("low id:high id") makes the direct chat of two people the only one; it is NULL in other kinds.
    """

    id = fields.BigIntField(primary_key=True)
    kind = fields.CharEnumField(ChatKind, max_length=16)
    title = fields.TextField(default="")
    creator: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.RESTRICT
    )
    last_seq = fields.BigIntField(default=0)
    first_seq = fields.BigIntField(default=1, db_default=1)
    # When the last message was stored, or the chat was created, in Unix microseconds. In rows of earlier versions 0,
    # and `last_message_id` NULL, until the next message.
    last_activity = fields.BigIntField(default=0, db_default=0)
    last_message_id = fields.BigIntField(null=True)
    members_version = fields.BigIntField(default=1)
    direct_key = fields.CharField(max_length=41, unique=True, null=True)
    created_by = fields.BigIntField(null=True, db_index=True)
    data = fields.TextField(default="", db_default="")
    retention_days = fields.IntField(null=True)
    version = fields.IntField(default=1, db_default=1)
    changed_in = fields.BigIntField(default=0, db_default=0)
    is_removed = fields.BooleanField(default=False, db_default=False)
    is_frozen = fields.BooleanField(default=False, db_default=False)
    slow_mode_s = fields.IntField(default=0, db_default=0)
    created_at = fields.DatetimeField(auto_now_add=True)

    creator_id: int

    class Meta:
        """Where it lives."""

        table = "chats"


class ChatKey(models.Model):
    """The name that an application gave to a chat, by which it finds the chat. It never changes."""

    key = fields.CharField(max_length=128, primary_key=True)
    chat: fields.OneToOneRelation[ChatRoom] = fields.OneToOneField(
        "storage.ChatRoom", related_name=False, on_delete=fields.CASCADE
    )

    chat_id: int

    class Meta:
        """Where it lives."""

        table = "chat_keys"


class ChatRemoval(models.Model):
    """A chat that was removed, whose rows are deleted by the node that has claimed it. Times are in Unix seconds."""

    chat_id = fields.BigIntField(primary_key=True, generated=False)
    removed_at = fields.BigIntField(db_index=True)
    claimed_by = fields.CharField(max_length=80, default="", db_default="")
    claimed_until = fields.BigIntField(default=0)
    is_done = fields.BooleanField(default=False)

    class Meta:
        """Where it lives; there is no foreign key, since it outlives the chat."""

        table = "chat_removals"


class RoomName(models.Model):
    """The name by which a chat of kind ROOM is found."""

    name = fields.CharField(max_length=255, primary_key=True)
    chat: fields.OneToOneRelation[ChatRoom] = fields.OneToOneField(
        "storage.ChatRoom", related_name=False, on_delete=fields.CASCADE
    )

    class Meta:
        """Where it lives."""

        table = "rooms"


class Membership(models.Model):
    """A user's place in a chat."""

    id = fields.BigIntField(primary_key=True)
    chat: fields.ForeignKeyRelation[ChatRoom] = fields.ForeignKeyField(
        "storage.ChatRoom", related_name=False, on_delete=fields.CASCADE
    )
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )
    role = fields.CharEnumField(Role, max_length=16, default=Role.MEMBER)
    read_seq = fields.BigIntField(default=0)
    # How the user's lists show the chat; `silenced_until` is in Unix microseconds.
    is_pinned = fields.BooleanField(default=False, db_default=False)
    is_archived = fields.BooleanField(default=False, db_default=False)
    silenced_until = fields.BigIntField(default=0, db_default=0)
    # What the member may do: `muted_until` in Unix seconds, `last_sent_at` of the last message in slow mode in Unix
    # milliseconds, `is_blocked` in a direct chat by the other member.
    muted_until = fields.BigIntField(default=0, db_default=0)
    last_sent_at = fields.BigIntField(default=0, db_default=0)
    is_blocked = fields.BooleanField(default=False, db_default=False)
    joined_at = fields.DatetimeField(auto_now_add=True)

    user_id: int

    class Meta:
        """Where it lives."""

        table = "memberships"
        unique_together = (("chat", "user"),)
        # What a list by activity needs of every chat of a user, and nothing that changes often.
        indexes = (Index(fields=("user_id", "chat_id", "is_archived", "is_pinned")),)


class FormerMember(models.Model):
    """How far a user who was removed from a chat had read, for when they come back."""

    id = fields.BigIntField(primary_key=True)
    chat: fields.ForeignKeyRelation[ChatRoom] = fields.ForeignKeyField(
        "storage.ChatRoom", related_name=False, on_delete=fields.CASCADE
    )
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    read_seq = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "former_members"
        unique_together = (("chat", "user"),)


class Block(models.Model):
    """A user, by id, who may not add the owner of the block to chats."""

    id = fields.BigIntField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )
    blocked_id = fields.BigIntField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """Where it lives."""

        table = "blocks"
        unique_together = (("user", "blocked_id"),)


class StaffMember(models.Model):
    """A user who may create service and support chats and give the roles of their staff."""

    id = fields.BigIntField(primary_key=True)
    user: fields.OneToOneRelation[User] = fields.OneToOneField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """Where it lives."""

        table = "staff"


class Bar(models.Model):
    """A user who was removed from a public chat and may not join it again."""

    id = fields.BigIntField(primary_key=True)
    chat: fields.ForeignKeyRelation[ChatRoom] = fields.ForeignKeyField(
        "storage.ChatRoom", related_name=False, on_delete=fields.CASCADE
    )
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    barred_by = fields.BigIntField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """Where it lives."""

        table = "bars"
        unique_together = (("chat", "user"),)


class ChatLogEntry(models.Model):
    """An event of a chat (`docs/message-log.md`).

    A message's text, data and state live in its own row and nowhere else; the row of an edit or deletion points at it
    by `message_id` (a message points at itself). `data` is the JSON of an object. `edit_count` is the number of a
    message's edits. `reply_to` is the message that it replies to, `reply_count` the number of replies to it, `mentions`
    the JSON of the ids of the members that it mentions (`storage.message_models`). There are no foreign
    keys: the commit checks the membership of every sender under the chat's lock, which says more, and a key check a
    row would cost a fifth of the throughput.
    """

    id = fields.BigIntField(primary_key=True)
    chat_id = fields.BigIntField()
    seq = fields.BigIntField()
    kind = fields.CharEnumField(EventKind, max_length=8)
    message_id = fields.BigIntField()
    sender_id = fields.BigIntField()
    client_msg_id = fields.CharField(max_length=64)
    digest = fields.BinaryField()
    text = fields.TextField()
    data = fields.TextField(null=True)
    reply_to = fields.BigIntField(null=True)
    reply_count = fields.IntField(db_default=0)
    mentions = fields.TextField(null=True)
    is_edited = fields.BooleanField(default=False)
    is_deleted = fields.BooleanField(default=False)
    edit_count = fields.IntField(db_default=0)
    reaction = fields.TextField(null=True)
    reactions = fields.TextField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        """Where it lives."""

        table = "chat_log"
        unique_together = (("chat_id", "seq"), ("chat_id", "sender_id", "client_msg_id"))


class TranscriptLine(models.Model):
    """A message of an echo session, as it was: bytes, since PostgreSQL's text has no NUL.

    `place` is its position in the session (1, 2, 3 …), by which a repeated insert is recognised.
    """

    id = fields.BigIntField(primary_key=True)
    user_id = fields.BigIntField()
    session_id = fields.CharField(max_length=32)
    place = fields.BigIntField()
    direction = fields.CharEnumField(Direction, max_length=3)
    payload = fields.BinaryField()
    is_text = fields.BooleanField()
    created_at = fields.DatetimeField()

    class Meta:
        """Where it lives."""

        table = "transcripts"
        unique_together = (("session_id", "place"), ("user_id", "id"))


class TranscriptSize(models.Model):
    """A part of the size of all transcripts in bytes, which is the sum over all rows, a part may be negative."""

    shard = fields.SmallIntField(primary_key=True, generated=False)
    bytes = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "transcript_sizes"


class AuditRecord(models.Model):
    """An entry of the audit log (`docs/audit.md`). Rows are appended, and deleted once they have expired.

    Triggers of the database reject every other change. `created_at` is in Unix milliseconds, `expires_at` in Unix
    seconds, `facts` is JSON. There are no foreign keys: a record outlives its user.
    """

    id = fields.BigIntField(primary_key=True)
    uid = fields.CharField(max_length=32, unique=True)
    created_at = fields.BigIntField()
    expires_at = fields.BigIntField(db_index=True)
    event = fields.CharField(max_length=32)
    result = fields.CharField(max_length=8)
    actor = fields.CharField(max_length=80)
    operation = fields.CharField(max_length=100, default="")
    on_behalf_of = fields.CharField(max_length=80, default="")
    address = fields.CharField(max_length=45, default="")
    request_id = fields.CharField(max_length=64, default="")
    user_id = fields.BigIntField(null=True)
    chat_id = fields.BigIntField(null=True)
    facts = fields.TextField(default="{}")
    count = fields.BigIntField(default=1)
    node = fields.CharField(max_length=80, default="")

    class Meta:
        """Where it lives; the indexes serve pages, newest first."""

        table = "audit_records"
        indexes = (
            ("created_at", "id"),
            ("event", "created_at", "id"),
            ("actor", "created_at", "id"),
            ("user_id", "created_at", "id"),
            ("chat_id", "created_at", "id"),
        )


class StoreIdentity(models.Model):
    """The only row says which store this is (random, made by the migration) and how often it was restored."""

    store_id = fields.CharField(max_length=32, primary_key=True)
    restores = fields.IntField(default=0)

    class Meta:
        """Where it lives."""

        table = "store_identity"


class LastSeen(models.Model):
    """When the last socket of a user on some node closed, in Unix ms. A user who is connected may have an old row."""

    user_id = fields.BigIntField(primary_key=True, generated=False)
    seen_at = fields.BigIntField()

    class Meta:
        """Where it lives."""

        table = "last_seen"
