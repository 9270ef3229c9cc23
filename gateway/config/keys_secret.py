"""The secret that encrypts private keys: from KEYS_SECRET, from a file, or generated outside production."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.config import parsers
from gateway.config.named_files import text_in
from gateway.config.production import MIN_KEYS_SECRET_LENGTH, weakness
from gateway.config.settings import Settings
from gateway.errors import InvalidSetting, SettingsError

GENERATED: Final = "keys.secret"
"""The file in DATA_DIR."""


def read_keys_secret(settings: Settings, *, may_generate: bool) -> tuple[str, ...]:
    """The secret, or the new and the old one.

    Outside production a missing secret is generated, if `may_generate`, as a file in DATA_DIR; processes that start at
    once agree on it.
    Raises: SettingsError.
    """
    if settings.keys_secret:
        return settings.keys_secret
    if (path := settings.keys_secret_file) is not None:
        return _from_file("KEYS_SECRET_FILE", path, is_production=settings.is_production)
    path = settings.data_dir / GENERATED
    if not path.exists():
        if settings.is_production or not may_generate:
            raise SettingsError(
                [
                    "KEYS_SECRET or KEYS_SECRET_FILE must be set: the private keys in the database are encrypted"
                    + ("." if settings.is_production else f", and there is no {path} with their secret.")
                ]
            )
        _generate(path)
    return _from_file(str(path), path, is_production=settings.is_production)


def _from_file(name: str, path: Path, *, is_production: bool) -> tuple[str, ...]:
    """Raises: SettingsError."""
    try:
        found = parsers.keys_secrets(text_in(path, name))
    except InvalidSetting as expected:
        raise SettingsError([f"The file of {name} must contain {expected}."]) from None
    problems = [weakness(secret, MIN_KEYS_SECRET_LENGTH) for secret in found] if is_production else []
    if any(problems):
        raise SettingsError([f"A secret in the file of {name} {problem}." for problem in problems if problem])
    return found


def _generate(path: Path) -> None:
    """Create the file, readable by this user only, at once with its content; unless another process was faster.

    Raises: SettingsError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # with mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{secrets.token_hex(32)}\n")
                file.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            Path(draft).unlink()
    except OSError as error:
        raise SettingsError([f"KEYS_SECRET is not set, and {path} cannot be created: {error.strerror}."]) from None
