"""The whole HTTP API under everything that its own document allows, and much that it does not.

No answer may be a 5xx, lack from the document, or be of another shape than it says there. What is not checked: that all
that the schemas allow is accepted, since some rules (a password is not the login) are none of JSON Schema's.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.system import System, run_system

KEY = "a service key of the fuzz test"
PASSWORD = "a long enough passphrase"
SETTINGS = {"SERVICE_KEYS": KEY, "MESSAGES_PER_MINUTE": "0"}
ENDING_SESSIONS = r"/(logout|revoke|ban|disconnect|users/\{user_id\})$"
"""Operations that may end the session of the caller; they are called last."""
ENDING_ACCOUNTS = r"/v1/me$"
"""Called with the token of another user."""
GUARDED = r"/(password|totp)(/|$)"
"""Operations that need a password or a token which no document contains: here they are refused throughout."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "negative_data_rejection",
    "ignored_auth",
)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system that lets this test call whatever it wants, as often as it wants."""
    folder = tmp_path / "system"
    folder.mkdir()
    with run_system(folder, SETTINGS) as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.full)])
def test_every_response_matches_openapi_document(system: System, tmp_path: Path, examples: int) -> None:
    url = system.replica_urls[0]
    person = {"login": "fuzz", "password": PASSWORD}
    for login in ("fuzz", "bob"):
        httpx.post(f"{url}/register", json=person | {"login": login}).raise_for_status()
    token, other = (
        httpx.post(f"{url}/login", json=person | {"login": login}).json()["access_token"] for login in ("fuzz", "bob")
    )
    headers = {"Authorization": f"Bearer {token}", "X-Service-Key": KEY}
    for kind in ("group", "public"):  # so that the smallest ids are of something
        chat = {"kind": kind, "members": [{"login": "bob"}]}
        httpx.post(f"{url}/api/v1/chats", json=chat, headers=headers).raise_for_status()

    options = ["--seed", "1", "-n", str(examples), "--continue-on-failure", "-c", ",".join(CHECKS)]
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json", *options]
    for which, paths in (
        ("--exclude-path-regex", f"{ENDING_SESSIONS}|{ENDING_ACCOUNTS}|{GUARDED}"),
        ("--include-path-regex", GUARDED),
        ("--include-path-regex", ENDING_ACCOUNTS),
        ("--include-path-regex", ENDING_SESSIONS),
    ):
        sent = headers | ({"Authorization": f"Bearer {other}"} if paths == ENDING_ACCOUNTS else {})
        words = [word for name, value in sent.items() for word in ("-H", f"{name}: {value}")]
        run = subprocess.run([*command, *words, which, paths], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout[-8000:]
        if paths not in (GUARDED, ENDING_ACCOUNTS):  # some operation was never let do anything
            assert "Authentication failed" not in run.stdout, run.stdout
