"""The help of every command: what it says, and that its examples can be typed."""

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

from gateway.cli import command_line, main
from gateway.command_line import CommandLine


def _commands(parser: argparse.ArgumentParser) -> Iterator[CommandLine]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in {id(one): one for one in action.choices.values()}.values():
                assert isinstance(command, CommandLine)
                yield command
                yield from _commands(command)


def _words(part: str) -> list[str]:
    """The words of a part of a shell's line, without assignments before a command."""
    return [word for word in shlex.split(part) if not re.fullmatch(r"[A-Z_]+=\S*", word)]


def test_every_command_has_examples_that_can_be_typed() -> None:
    parsers = list(_commands(command_line()))
    assert len(parsers) >= 8
    for parser in parsers:
        assert parser.epilog is not None, parser.prog
        examples = parser.epilog.splitlines()[1:]
        assert examples, parser.prog
        for example in examples:
            parts = [_words(part) for part in re.split(r" [|<>] ", example.partition("   #")[0])]
            typed = [words[1:] for words in parts if words[0] == "chat-gateway"]
            assert typed, example
            for words in typed:
                assert callable(command_line().parse_args(words).command), example
            assert parser.prog.split()[-1] in example, example


def test_help_fits_terminal_and_keeps_example_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(["migrate", "--help"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Migrate the database to the current schema." in lines
    assert lines[-3:-1] == ["examples:", "  chat-gateway migrate"]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("words", [["config"], ["config", "chek"]])
def test_group_without_its_action_shows_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: chat-gateway config [-h] ACTION ...")
    assert "ACTION" in error
