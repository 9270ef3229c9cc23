"""The check that no log of a test's processes holds a secret."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from auth.tokens.access_tokens import Issuer, TokenNames
from tests.auth.forgery import new_key
from tests.support.log_secrets import note_secrets, secrets_in_logs

ROOT = Path(__file__).parents[1]
JWT = Issuer(TokenNames(), 600).issue(new_key(), 7, "ann")
REFRESH = f"rt_{'0' * 32}_{'A' * 43}"


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        (JWT, "a JWT"),
        (REFRESH, "a refresh token"),
        ("tkt_AbC-0123_456789xyz", "a ticket"),
        ("Bearer abcdefgh.ijkl", "a bearer token"),
        ("postgres://chat:hunter2@db/chat", "the user of a URL"),
        ("correct horse", "a secret of 13 characters"),
        ("k3y-of-a-service", "a secret of 16 characters"),
        ("pa55word-of-redis", "a secret of 17 characters"),
    ],
)
def test_secret_in_a_log_is_found_and_not_repeated(tmp_path: Path, secret: str, what: str) -> None:
    folder = tmp_path / "logs"  # not read by the check of this test itself
    folder.mkdir()
    note_secrets(
        folder,
        {
            "SERVICE_KEYS": "crm:k3y-of-a-service:chats,other",
            "REDIS_URL": "redis://:pa55word-of-redis@h:1",
            "APP_PORT": 1,
        },
    )
    log = folder / "server.log"
    log.write_text(f"first line\nseen {secret} and {secret} here\n")
    found = secrets_in_logs(folder)
    assert found[0].startswith("server.log: seen ")
    assert any(line.endswith(f"<{what}>") for line in found)
    assert secret not in "".join(found)
    log.write_text("")
    assert secrets_in_logs(folder) == []


def test_redacted_and_plain_texts_are_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text(
        'Bearer [redacted] postgres://[redacted]@db:5432/chat http://127.0.0.1:8000/ {"user_id":7} support_rt_1 eyJx\n'
    )
    assert secrets_in_logs(tmp_path) == []


def test_test_that_logs_a_token_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.support.log_secrets import pytest_runtest_teardown as pytest_runtest_teardown\n"
    )
    (tmp_path / "test_it.py").write_text(
        f"""
import pytest

@pytest.fixture
def server(tmp_path):
    yield
    (tmp_path / "server.log").write_text("stopped with " + {JWT!r})

def test_logging(server): pass
def test_silent(tmp_path): pass
"""
    )
    with tempfile.TemporaryDirectory() as elsewhere:  # our own folder must hold no log with a token
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--tb=short",
            f"--basetemp={elsewhere}/base",
        ]
        ran = subprocess.run(
            [*command, "--rootdir", tmp_path, tmp_path],
            cwd=elsewhere,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert "2 passed, 1 error" in ran.stdout, ran.stdout + ran.stderr
    assert "server.log: stopped with <a JWT>" in ran.stdout
    assert JWT not in ran.stdout
