"""The values of settings that are one of a few words."""

from enum import StrEnum


class Environment(StrEnum):
    """The kind of installation: in production, unsafe settings are rejected."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class StaffChats(StrEnum):
    """Who may create service and support chats and give the roles of their staff."""

    ANYONE = "anyone"
    SERVICE = "service"


class Adding(StrEnum):
    """Whom a user may add to chats."""

    ANYONE = "anyone"
    CONTACTS = "contacts"
    SERVICE = "service"


class RegistrationPolicy(StrEnum):
    """Who may create accounts."""

    OPEN = "open"
    CLOSED = "closed"
    INVITE = "invite"


class LogFormat(StrEnum):
    """One JSON object per line, or text for a terminal."""

    JSON = "json"
    TEXT = "text"


class SecondConnection(StrEnum):
    """The effect of a user's second connection to a chat."""

    REPLACE = "replace"
    REJECT = "reject"
    ALLOW = "allow"
