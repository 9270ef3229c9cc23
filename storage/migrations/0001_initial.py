from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops

from storage.records import ChatKind, EventKind, Role


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="ChatLogEntry",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("chat_id", fields.BigIntField()),
                ("seq", fields.BigIntField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="MESSAGE: message\nEDIT: edit\nDELETE: delete", enum_type=EventKind, max_length=8
                    ),
                ),
                ("message_id", fields.BigIntField()),
                ("sender_id", fields.BigIntField()),
                ("client_msg_id", fields.CharField(max_length=64)),
                ("digest", fields.BinaryField()),
                ("text", fields.TextField(unique=False)),
                ("is_edited", fields.BooleanField(default=False)),
                ("is_deleted", fields.BooleanField(default=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "chat_log",
                "app": "storage",
                "unique_together": (("chat_id", "seq"), ("chat_id", "sender_id", "client_msg_id")),
                "pk_attr": "id",
                "table_description": "An event of a chat (`docs/message-log.md`).",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SigningKeyPair",
            fields=[
                ("kid", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("private_jwk", fields.TextField(unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "signing_keys",
                "app": "storage",
                "pk_attr": "kid",
                "table_description": "A key pair that signs tokens, shared by every process of the auth service.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="StoreIdentity",
            fields=[
                ("store_id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32)),
                ("restores", fields.IntField(default=0)),
            ],
            options={
                "table": "store_identity",
                "app": "storage",
                "pk_attr": "store_id",
                "table_description": "The only row says which store this is (random, made by the migration) and how often it was restored.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="User",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("login", fields.CharField(max_length=255)),
                ("login_folded", fields.CharField(unique=True, max_length=255)),
                ("password_hash", fields.TextField(unique=False)),
                ("first_name", fields.TextField(default="", unique=False)),
                ("last_name", fields.TextField(default="", unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "users",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "An account. `login_folded` makes logins unique whatever their letter case.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ChatRoom",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "kind",
                    fields.CharEnumField(
                        description="GROUP: group\nDIRECT: direct\nSERVICE: service\nSUPPORT: support\nPUBLIC: public",
                        enum_type=ChatKind,
                        max_length=16,
                    ),
                ),
                ("title", fields.TextField(default="", unique=False)),
                (
                    "creator",
                    fields.ForeignKeyField(
                        "storage.User",
                        source_field="creator_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("last_seq", fields.BigIntField(default=0)),
                ("members_version", fields.BigIntField(default=1)),
                ("direct_key", fields.CharField(null=True, unique=True, max_length=41)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "chats",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "A chat. Its row is the lock under which its log and its members change.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Membership",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "chat",
                    fields.ForeignKeyField(
                        "storage.ChatRoom",
                        source_field="chat_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "storage.User",
                        source_field="user_id",
                        db_index=True,
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                (
                    "role",
                    fields.CharEnumField(
                        default=Role.MEMBER,
                        description="MEMBER: member\nMASTER: master\nCLIENT: client\nSUPPORT: support",
                        enum_type=Role,
                        max_length=16,
                    ),
                ),
                ("read_seq", fields.BigIntField(default=0)),
                ("joined_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "memberships",
                "app": "storage",
                "unique_together": (("chat", "user"),),
                "pk_attr": "id",
                "table_description": "A user's place in a chat.",
            },
            bases=["Model"],
        ),
    ]
