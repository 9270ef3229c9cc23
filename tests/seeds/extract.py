"""The code in the seeds: fenced blocks, found by seed, language and heading."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_HEADING = re.compile(r"#{1,6}\s+(?P<title>.+?)\s*")
_FENCE = re.compile(r"```(?P<language>\w*)\s*")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """One fenced block: its language ("" if none is named), the heading that it stands under, and its text."""

    language: str
    heading: str
    code: str


def seed_text(number: int) -> str:
    """The seed `number` (0–4), whole."""
    [path] = FOLDER.glob(f"{number:03}_*.txt")
    return path.read_text(encoding="utf-8")


def code_blocks(text: str) -> list[CodeBlock]:
    """Every fenced block of a Markdown text, in order."""
    blocks: list[CodeBlock] = []
    heading = ""
    language: str | None = None  # of the open block
    lines: list[str] = []
    for line in text.splitlines():
        if language is not None and line.strip() == "```":
            blocks.append(CodeBlock(language, heading, "\n".join(lines) + "\n"))
            language = None
        elif language is not None:
            lines.append(line)
        elif fence := _FENCE.fullmatch(line.strip()):
            language, lines = fence["language"], []
        elif title := _HEADING.fullmatch(line):
            heading = title["title"]
    return blocks


def code_block(number: int, language: str, heading: str) -> str:
    """The one block of that language whose heading contains `heading`; raises LookupError if it is not exactly one."""
    found = [
        block.code
        for block in code_blocks(seed_text(number))
        if block.language == language and heading in block.heading
    ]
    if len(found) != 1:
        raise LookupError(f"seed {number} has {len(found)} {language} blocks under {heading!r}")
    return found[0]


def javascript_class(code: str, name: str) -> str:
    """The class `name` alone, from its first line to the brace that closes it; raises LookupError if there is none."""
    found = re.search(rf"^class {name} {{\n.*?^}}\n", code, re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"no class {name}")
    return found[0]


def chat_websocket_class(ws_base: str) -> str:
    """Seed 004's own `ChatWebSocket`, unchanged but for the server: `ws_base` (like `ws://127.0.0.1:8000`)."""
    source = javascript_class(code_block(4, "javascript", "Полный пример чата"), "ChatWebSocket")
    assert "ws://localhost:8000" in source
    return source.replace("ws://localhost:8000", ws_base)
