"""Roles, mutes and rules of chats, which the commit function checks."""

from typing import Any

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.database.describe_field import DescribeField
from storage.log.commit_postgres import create_function, keep_function
from storage.records import Role


def _flag() -> Any:
    return fields.BooleanField(default=False, db_default=False)


def _number() -> Any:
    return fields.BigIntField(default=0, db_default=0)


class Migration(migrations.Migration):
    dependencies = [("storage", "0030_user_erasures")]

    operations = [
        ops.AddField(model_name="ChatRoom", name="is_frozen", field=_flag()),
        ops.AddField(model_name="ChatRoom", name="slow_mode_s", field=fields.IntField(default=0, db_default=0)),
        ops.AddField(model_name="Membership", name="muted_until", field=_number()),
        ops.AddField(model_name="Membership", name="last_sent_at", field=_number()),
        ops.AddField(model_name="Membership", name="is_blocked", field=_flag()),
        DescribeField(
            model_name="Membership",
            name="role",
            field=fields.CharEnumField(
                default=Role.MEMBER,
                description="MEMBER: member\nMODERATOR: moderator\nREADER: reader\nMASTER: master\nCLIENT: client\n"
                "SUPPORT: support",
                enum_type=Role,
                max_length=16,
            ),
        ),
        ops.RunPython(create_function, keep_function),
    ]
