"""The sources of settings: flags, the environment, and `.env` files in the syntax of docker compose."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.config.settings import Settings, known_settings
from gateway.config.validation import parse
from gateway.errors import SettingsError

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
        (?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>.*?))\s*(?:(?:^|\s)\#.*)?""",
    re.VERBOSE,
)


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of the file; {} if there is no such file. Other lines are skipped.

    Raises: OSError, UnicodeDecodeError.
    """
    if not path.is_file():
        return {}
    matches = map(_LINE.fullmatch, path.read_text(encoding="utf-8").splitlines())
    return {match["name"]: match["single"] or match["double"] or match["bare"] or "" for match in matches if match}


ENV_FILES: Final = (".env", "src/.env")


@dataclass(frozen=True, slots=True)
class SourcedText:
    """The unparsed text of a setting, and the source that it is from."""

    text: str = field(repr=False)
    source: str


def read_sources(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> dict[str, SourcedText]:
    """The unparsed texts of our settings by name in upper case, each from the first source that has it.

    `environ` is the process's environment by default; `folder` contains the `.env` files and is the working directory
    by default.

    Raises: SettingsError for a `.env` file that cannot be read.
    """
    folder = folder or Path.cwd()
    try:
        files = {name: read_dotenv(folder / name) for name in ENV_FILES}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"an .env file cannot be read: {type(error).__name__}"]) from None
    sources: dict[str, Mapping[str, str]] = {
        "flag": flags or {},
        "environment": os.environ if environ is None else environ,
        **files,
        "default of the command": defaults or {},
    }
    texts: dict[str, SourcedText] = {}
    for name in (known.name.upper() for known in known_settings()):
        for source, values in sources.items():
            if value := values.get(name, "").strip():
                texts[name] = SourcedText(value, source)
                break
    return texts


def read(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The texts alone.

    Raises: as `read_sources`.
    """
    return {name: sourced.text for name, sourced in read_sources(flags, environ, folder, defaults).items()}


def load(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Settings:
    """Read and parse the settings.

    Raises: SettingsError.
    """
    return parse(read(flags, environ, folder, defaults))
