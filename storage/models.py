"""The tables. ORM objects never leave `storage/`: what goes out are the records of `storage.records`."""

from tortoise import fields, models
from tortoise.indexes import Index

from storage.records import ChatKind, Direction, EventKind, RevocationKind, Role


class User(models.Model):
    """An account. `login_folded` makes logins unique whatever their letter case."""

    id = fields.BigIntField(primary_key=True)
    login = fields.CharField(max_length=255)
    login_folded = fields.CharField(max_length=255, unique=True)
    password_hash = fields.TextField()
    first_name = fields.TextField(default="")
    last_name = fields.TextField(default="")
    display_name = fields.TextField(default="", db_default="")
    avatar_url = fields.TextField(default="", db_default="")
    data = fields.TextField(default="", db_default="")
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """Where it lives."""

        table = "users"


class OutsideIdentity(models.Model):
    """Which user of ours somebody is whom another issuer vouches for: its `iss` and `sub`, to the letter."""

    id = fields.BigIntField(primary_key=True)
    issuer = fields.CharField(max_length=255)
    subject = fields.CharField(max_length=255)
    user: fields.OneToOneRelation[User] = fields.OneToOneField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )

    class Meta:
        """Where it lives."""

        table = "identities"
        unique_together = (("issuer", "subject"),)


class SigningKeyPair(models.Model):
    """A key pair that signs tokens, shared by every process of the auth service."""

    # Its private part is encrypted, by `auth.encryption`.
    kid = fields.CharField(max_length=64, primary_key=True)
    private_jwk = fields.TextField()
    created_at = fields.DatetimeField()

    class Meta:
        """Where it lives."""

        table = "signing_keys"


class StoredDataKey(models.Model):
    """The key that encrypts private keys and secrets of logins, wrapped by KEYS_SECRET."""

    id = fields.CharField(max_length=16, primary_key=True)
    wrapped = fields.CharField(max_length=255)
    created_at = fields.DatetimeField()

    class Meta:
        """Where it lives."""

        table = "data_keys"


class ChatRoom(models.Model):
    """A chat. Its row is the lock under which its log and its members change.

    `creator` is its owner, see `storage.repositories.owners`.
    `created_by` is the user for whose quota it counts; NULL if a service created it, or a version without quotas.
    `direct_key` ("low id:high id") makes the direct chat of two people the only one; it is NULL in other kinds.
    """

    id = fields.BigIntField(primary_key=True)
    kind = fields.CharEnumField(ChatKind, max_length=16)
    title = fields.TextField(default="")
    creator: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.RESTRICT
    )
    last_seq = fields.BigIntField(default=0)
    members_version = fields.BigIntField(default=1)
    direct_key = fields.CharField(max_length=41, unique=True, null=True)
    created_by = fields.BigIntField(null=True, db_index=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    creator_id: int

    class Meta:
        """Where it lives."""

        table = "chats"


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
        "storage.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    role = fields.CharEnumField(Role, max_length=16, default=Role.MEMBER)
    read_seq = fields.BigIntField(default=0)
    joined_at = fields.DatetimeField(auto_now_add=True)

    user_id: int

    class Meta:
        """Where it lives."""

        table = "memberships"
        unique_together = (("chat", "user"),)
        indexes = (Index(fields=("user_id", "chat_id")),)


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

    A message's text and state live in its own row and nowhere else; the row of an edit or deletion points at it by
    `message_id` (a message points at itself). `edit_count` is the number of a message's edits. There are no foreign
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
    is_edited = fields.BooleanField(default=False)
    is_deleted = fields.BooleanField(default=False)
    edit_count = fields.IntField(db_default=0)
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


class Revocation(models.Model):
    """A log of revoked tokens and bans: rows are appended, and deleted once they have no effect.

    `moment`, `created_at` and `expires_at` are in Unix seconds; `storage.records.RevocationKind` says what `moment` is.
    """

    id = fields.BigIntField(primary_key=True)
    user_id = fields.BigIntField(db_index=True)
    kind = fields.CharEnumField(RevocationKind, max_length=16)
    digest = fields.CharField(max_length=64, default="")
    moment = fields.BigIntField(null=True)
    reason = fields.TextField(default="")
    created_at = fields.BigIntField()
    expires_at = fields.BigIntField(null=True, db_index=True)

    class Meta:
        """Where it lives."""

        table = "revocations"


class LoginSession(models.Model):
    """A login that can be renewed. Its refresh token is stored as a digest.

    `secret` derives each token's successor, and is encrypted. Times are in Unix seconds.
    """

    id = fields.CharField(max_length=32, primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    secret = fields.CharField(max_length=255)
    digest = fields.CharField(max_length=64)
    previous_digest = fields.CharField(max_length=64, default="")
    created_at = fields.BigIntField()
    rotated_at = fields.BigIntField()
    expires_at = fields.BigIntField(db_index=True)

    class Meta:
        """Where it lives."""

        table = "login_sessions"


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


class Invitation(models.Model):
    """An invitation that has not been used, by the digest of its token.

    `login_folded` is the only login that may be registered with it, unless it is empty. Times are in Unix seconds.
    """

    digest = fields.CharField(max_length=64, primary_key=True)
    login_folded = fields.CharField(max_length=255, default="")
    expires_at = fields.BigIntField(db_index=True)

    class Meta:
        """Where it lives."""

        table = "invitations"


class ResetToken(models.Model):
    """A token to reset a user's password that has not been used, by its digest. Times are in Unix seconds."""

    digest = fields.CharField(max_length=64, primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE, db_index=True
    )
    expires_at = fields.BigIntField(db_index=True)

    user_id: int

    class Meta:
        """Where it lives."""

        table = "password_resets"


class TotpFactor(models.Model):
    """The secret of a user's one-time codes, encrypted. Codes up to `last_step` (of 30 s) are used up."""

    id = fields.BigIntField(primary_key=True)
    user: fields.OneToOneRelation[User] = fields.OneToOneField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )
    secret = fields.CharField(max_length=255)
    is_confirmed = fields.BooleanField(default=False)
    last_step = fields.BigIntField(default=0)

    class Meta:
        """Where it lives."""

        table = "second_factors"


class RecoveryCode(models.Model):
    """A code that replaces a one-time code once, by its digest."""

    id = fields.BigIntField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "storage.User", related_name=False, on_delete=fields.CASCADE
    )
    digest = fields.CharField(max_length=64)

    class Meta:
        """Where it lives."""

        table = "recovery_codes"
        unique_together = (("user", "digest"),)


class StoreIdentity(models.Model):
    """The only row says which store this is (random, made by the migration) and how often it was restored."""

    store_id = fields.CharField(max_length=32, primary_key=True)
    restores = fields.IntField(default=0)

    class Meta:
        """Where it lives."""

        table = "store_identity"
