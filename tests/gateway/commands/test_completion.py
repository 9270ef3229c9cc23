"""`chat-gateway completion`: the script of bash is asked as bash does on the Tab key."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.cli import main

_ASK = """
source "$1"; shift
words=("$@")
COMP_WORDS=("${words[@]}"); COMP_CWORD=$((${#words[@]} - 1)); COMP_LINE="${words[*]}"; COMP_POINT=${#COMP_LINE}
function=$(complete -p chat-gateway | grep -o -- '-F [^ ]*' | cut -d' ' -f2)
"$function"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The script for bash."""
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "chat-gateway"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["do"], ["doctor"]),
        (["ch"], ["chat", "chats"]),
        (["doctor", "--u"], ["--url"]),
        (["chats", "rem"], ["remove-member", "remove"]),
        (["webhooks", "dead"], ["dead-letters"]),
        (["completion", "z"], ["zsh"]),
        (["nothing", "x"], []),
    ],
)
def test_bash_completes_commands_options_and_choices(script: Path, typed: list[str], completed: list[str]) -> None:
    line = ["bash", "--norc", "-c", _ASK, "bash", str(script), "chat-gateway", *typed]
    ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert sorted(ended.stdout.split()) == sorted(completed), ended.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    for word in ("doctor", "rotate-key", "remove-member", "with-auth", "--port" if shell == "zsh" else "port"):
        assert word in printed
