"""The tables. ORM objects never leave `storage/`: what goes out are the records of `storage.records`."""

from tortoise import fields, models

from storage.records import ChatKind, Direction, EventKind, Role


class User(models.Model):
    """An account. `login_folded` makes logins unique whatever their letter case."""

    id = fields.BigIntField(primary_key=True)
    login = fields.CharField(max_length=255)
    login_folded = fields.CharField(max_length=255, unique=True)
    password_hash = fields.TextField()
    first_name = fields.TextField(default="")
    last_name = fields.TextField(default="")
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

    kid = fields.CharField(max_length=64, primary_key=True)
    private_jwk = fields.TextField()
    created_at = fields.DatetimeField()

    class Meta:
        """Where it lives."""

        table = "signing_keys"


class ChatRoom(models.Model):
    """A chat. Its row is the lock under which its log and its members change.

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

    class Meta:
        """Where it lives."""

        table = "memberships"
        unique_together = (("chat", "user"),)


class ChatLogEntry(models.Model):
    """An event of a chat (`docs/message-log.md`).

    A message's text and state live in its own row and nowhere else; the row of an edit or deletion points at it by
    `message_id` (a message points at itself). There are no foreign keys: the commit checks the membership of every
    sender under the chat's lock, which says more, and a key check a row would cost a fifth of the throughput.
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


class StoreIdentity(models.Model):
    """The only row says which store this is (random, made by the migration) and how often it was restored."""

    store_id = fields.CharField(max_length=32, primary_key=True)
    restores = fields.IntField(default=0)

    class Meta:
        """Where it lives."""

        table = "store_identity"
