"""The endpoints of WEBHOOKS, or of the file WEBHOOKS_FILE: a JSON list."""

import re
from hashlib import blake2b
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from gateway.config.production import MIN_SERVICE_KEY_LENGTH, is_loopback, weakness
from gateway.config.settings import Settings
from gateway.errors import InvalidSetting, SettingsError
from httpapi.bounded_json import read_shape
from httpapi.errors import InvalidJson, TooDeep
from storage.outbox_records import PRESENCE_TYPES, EventType

MAX_ENDPOINTS: Final = 16
MAX_GIVE_UP_H: Final = 24 * 365
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URL: Final = re.compile(r"https?://[!-~]{1,2000}")
_FORM: Final = (
    "a JSON list of at most 16 objects with different names and with url, secret, and, if wanted, name (1 to 32"
    " letters, digits, _ or -), events (a list of types) and give_up_h"
)


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An endpoint: `events` are the types that it gets; `give_up_h` is None for never.

    By default it gets all but those of presence, for which each connect would write to the database.
    """

    url: str
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    name: str = ""
    events: list[EventType] = msgspec.field(default_factory=lambda: sorted(set(EventType) - PRESENCE_TYPES))
    give_up_h: Annotated[float, msgspec.Meta(gt=0, le=MAX_GIVE_UP_H)] | None = None

    def __repr__(self) -> str:
        return f"Webhook({self.name})"


def webhooks(raw: str) -> tuple[Webhook, ...]:
    """Parse the list. An endpoint without a name is named by a digest of its URL.

    Raises: InvalidSetting.
    """
    try:
        listed = [_named(one) for one in read_shape(raw.encode(), list[Webhook])]
    except (InvalidJson, TooDeep, msgspec.ValidationError, ValueError):
        raise InvalidSetting(_FORM) from None
    if len(listed) > MAX_ENDPOINTS or len({one.name for one in listed}) < len(listed):
        raise InvalidSetting(_FORM)
    return tuple(listed)


def read_webhooks(settings: Settings) -> tuple[Webhook, ...]:
    """The endpoints from WEBHOOKS or its file, safe for production if that is where they run.

    Raises: SettingsError.
    """
    if settings.webhooks and settings.webhooks_file is not None:
        raise SettingsError(["WEBHOOKS and WEBHOOKS_FILE exclude each other."])
    name, raw = "WEBHOOKS", settings.webhooks
    if settings.webhooks_file is not None:
        name = "The file of WEBHOOKS_FILE"
        try:
            raw = settings.webhooks_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError([f"WEBHOOKS_FILE cannot be read: {type(error).__name__}."]) from None
    try:
        listed = webhooks(raw) if raw else ()
    except InvalidSetting as expected:
        raise SettingsError([f"{name} must be {expected}."]) from None
    problems = [problem for one in listed for problem in _unsafe(one)] if settings.is_production else []
    if problems:
        raise SettingsError([f"{problem}. (APP_ENV=development allows it.)" for problem in problems])
    return listed


def _named(webhook: Webhook) -> Webhook:
    """Raises: ValueError."""
    if not _URL.fullmatch(webhook.url) or not urlsplit(webhook.url).hostname or urlsplit(webhook.url).port == 0:
        raise ValueError
    if not webhook.name:
        return msgspec.structs.replace(webhook, name=blake2b(webhook.url.encode(), digest_size=4).hexdigest())
    if not _NAME.fullmatch(webhook.name) or webhook.name == "exchange":
        raise ValueError
    return webhook


def _unsafe(webhook: Webhook) -> list[str]:
    url, problems = urlsplit(webhook.url), []
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        problems.append(f"The webhook {webhook.name} must begin with https:// in production: messages are in its calls")
    if problem := weakness(webhook.secret, MIN_SERVICE_KEY_LENGTH):
        problems.append(f"The secret of the webhook {webhook.name} {problem}; `openssl rand -hex 32` makes a good one")
    return problems
