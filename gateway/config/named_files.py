"""The files that settings name."""

from pathlib import Path

from gateway.errors import SettingsError


def text_in(path: Path, name: str) -> str:
    """The text of the file that the setting `name` names, without spaces around it.

    Raises: SettingsError.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError([f"{name} cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"The file of {name} must be UTF-8."]) from None
