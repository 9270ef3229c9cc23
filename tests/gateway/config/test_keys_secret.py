"""Where the secret of the private keys comes from, and when it is generated."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.choices import Environment
from gateway.config.keys_secret import GENERATED, read_keys_secret
from gateway.config.settings import Settings
from gateway.errors import SettingsError

GOOD = "u9Yq2mTz7cKp4vXw8bNr0sLd3fGh6jQa"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(app_env=Environment.DEVELOPMENT, data_dir=tmp_path / "data")


def test_secret_is_generated_once_for_its_owner_only(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: read_keys_secret(settings, may_generate=True), range(32)))
    assert found == {read_keys_secret(settings, may_generate=False)}
    (path,) = settings.data_dir.iterdir()
    assert path.name == GENERATED
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().strip()) == 64


def test_secret_is_not_generated_for_encrypted_database(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="KEYS_SECRET or KEYS_SECRET_FILE must be set"):
        read_keys_secret(settings, may_generate=False)
    assert not settings.data_dir.exists()


def test_production_generates_no_secret(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="KEYS_SECRET or KEYS_SECRET_FILE must be set"):
        read_keys_secret(replace(settings, app_env=Environment.PRODUCTION), may_generate=True)


def test_folder_that_cannot_be_written_is_an_error(settings: Settings) -> None:
    settings.data_dir.write_text("a file")
    with pytest.raises(SettingsError, match=r"KEYS_SECRET is not set, and .*keys\.secret cannot be created"):
        read_keys_secret(settings, may_generate=True)


def test_setting_takes_precedence_over_generated_file(settings: Settings) -> None:
    read_keys_secret(settings, may_generate=True)
    assert read_keys_secret(replace(settings, keys_secret=(GOOD,)), may_generate=True) == (GOOD,)


def test_secrets_are_read_from_file(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{GOOD},{GOOD[::-1]}\n")
    production = replace(settings, app_env=Environment.PRODUCTION, keys_secret_file=path)
    assert read_keys_secret(production, may_generate=False) == (GOOD, GOOD[::-1])


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "KEYS_SECRET_FILE cannot be read: No such file"),
        (b"\xff" * 40, "must be UTF-8"),
        (b"short", "must contain a secret of at least 32 characters"),
        (b"change-me-before-others-can-reach-it", "is a placeholder"),
    ],
)
def test_unusable_file_is_an_error_without_its_content(
    settings: Settings, tmp_path: Path, content: bytes | None, error: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    production = replace(settings, app_env=Environment.PRODUCTION, keys_secret_file=path)
    with pytest.raises(SettingsError, match=error) as caught:
        read_keys_secret(production, may_generate=False)
    assert "before-others" not in str(caught.value)
