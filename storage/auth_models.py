"""The tables of accounts, tokens and keys; see `storage.models`."""

from tortoise import fields, models

from storage.auth_records import RevocationKind
from storage.models import User
from storage.profile_records import Messages


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
    user_agent = fields.CharField(max_length=200, db_default="")

    class Meta:
        """Where it lives."""

        table = "login_sessions"


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


class UserErasure(models.Model):
    """A user who was deleted, and how far the work has come: any node goes on where another stopped.

    `identity_digest` says whom an external issuer must name by a newer token to be a user again; it is cleared with the
    last token that may exist. Chats up to `chat_cursor` are done. Times are in Unix seconds.
    """

    user_id = fields.BigIntField(primary_key=True, generated=False)
    messages = fields.CharEnumField(Messages, max_length=8)
    requested_at = fields.BigIntField(db_index=True)
    identity_digest = fields.CharField(max_length=64, default="", db_index=True)
    chat_cursor = fields.BigIntField(default=0)
    erased_messages = fields.BigIntField(default=0)
    claimed_by = fields.CharField(max_length=80, default="")
    claimed_until = fields.BigIntField(default=0)
    finished_at = fields.BigIntField(null=True)

    class Meta:
        """Where it lives."""

        table = "user_erasures"
