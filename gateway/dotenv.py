"""`.env` files: NAME=value lines, as docker compose and shells read them."""

import re
from pathlib import Path

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
        (?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>.*?))\s*(?:(?:^|\s)\#.*)?""",
    re.VERBOSE,
)


def read_dotenv(path: Path) -> dict[str, str]:
    """The file's settings; {} if there is no such file. Lines that set nothing are passed over.

    Raises: OSError, UnicodeDecodeError.
    """
    if not path.is_file():
        return {}
    matches = map(_LINE.fullmatch, path.read_text(encoding="utf-8").splitlines())
    return {found["name"]: found["single"] or found["double"] or found["bare"] or "" for found in matches if found}
