"""Converts a subset of Markdown to HTML: paragraphs, tables, lists, `code`, **bold** and *emphasis*.

Everything else is escaped as text. The input is always our own documents, never a client's text.
"""

import re
from html import escape
from typing import Final

_MARKS: Final = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*")


def html_of(text: str) -> str:
    """Convert a text with blocks."""
    return "\n".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block)


def inline(text: str) -> str:
    """Convert a text without blocks."""
    return _MARKS.sub(_marked, escape(text, quote=False))


def _marked(match: re.Match[str]) -> str:
    code, bold, emphasis = match.groups()
    if code is not None:
        return f"<code>{code}</code>"
    return f"<strong>{bold}</strong>" if bold is not None else f"<em>{emphasis}</em>"


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(line.startswith("|") for line in lines):
        return _table(lines)
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{inline(line[2:])}</li>" for line in lines) + "</ul>"
    return f"<p>{inline(block)}</p>"


def _table(lines: list[str]) -> str:
    head, _, *rows = [[inline(cell.strip()) for cell in line.strip().strip("|").split("|")] for line in lines]
    titles = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="table" tabindex="0"><table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table></div>'
    )
