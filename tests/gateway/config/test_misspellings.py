"""A misspelt name in `.env` is reported with the setting that was probably meant."""

from pathlib import Path

import pytest

from gateway.config.misspellings import misspellings
from gateway.config.settings import known_settings


def named(folder: Path, *names: str, file: str = ".env") -> dict[str, str]:
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{name}=x\n" for name in names))
    return {one.name: one.nearest for one in misspellings(folder)}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("POSTGRES_HOSTT", "POSTGRES_HOST"),
        ("POSTGRES_PASS", "POSTGRES_PASSWORD"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("REDIS_URI", "REDIS_URL"),
        ("app_por", "APP_PORT"),
        ("ALLOWED_ORIGIN", "ALLOWED_ORIGINS"),
        ("MESSAGE_PER_MINUTE", "MESSAGES_PER_MINUTE"),
    ],
)
def test_misspelt_name_suggests_nearest_setting(name: str, nearest: str, tmp_path: Path) -> None:
    assert named(tmp_path, name) == {name: nearest}


def test_every_setting_with_one_letter_missing_is_found(tmp_path: Path) -> None:
    settings = [known.name.upper() for known in known_settings() if len(known.name) > 5]
    misspelt = {name[:-2] + name[-1]: name for name in settings}
    assert named(tmp_path, *misspelt) == misspelt


def test_names_of_other_programs_are_not_reported(tmp_path: Path) -> None:
    of_seed_003 = ["RELOAD", "APP_PROXY_PORT", "APP_PROXY_LINK"]
    of_others = ["COMPOSE_PROJECT_NAME", "COMPOSE_FILE", "PGDATA", "TZ", "GF_SECURITY_ADMIN_PASSWORD", "NODE_ENV"]
    assert named(tmp_path, *of_seed_003, *of_others, "APP_PORT", "A" * 100_000) == {}


def test_second_env_file_is_read(tmp_path: Path) -> None:
    named(tmp_path, "APP_PROT", file="src/.env")
    (found,) = misspellings(tmp_path)
    assert str(found) == "APP_PROT in src/.env is not a setting; did you mean APP_PORT?"
