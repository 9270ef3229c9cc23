"""POSTGRES_PASSWORD_FILE: the password of the database from a file."""

from pathlib import Path

import pytest

from gateway.config.settings import Settings
from gateway.config.sources import load
from gateway.errors import SettingsError


def _load(**environ: str) -> Settings:
    return load(environ={"APP_ENV": "development", **environ}, folder=Path("/nowhere"))


def _problems(**environ: str) -> str:
    with pytest.raises(SettingsError) as raised:
        _load(**environ)
    return str(raised.value)


def test_password_of_postgres_comes_from_one_place(tmp_path: Path) -> None:
    path = tmp_path / "password"
    assert _problems(POSTGRES_PASSWORD="p", POSTGRES_PASSWORD_FILE=str(path)) == (
        "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE exclude each other."
    )
    given = {"POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "", "POSTGRES_PASSWORD_FILE": str(path)}
    assert _problems(**given) == "POSTGRES_PASSWORD_FILE cannot be read: No such file or directory."
    path.write_bytes(b"\xff")
    assert _problems(**given) == "The file of POSTGRES_PASSWORD_FILE must be UTF-8."
    path.write_text("\n")
    assert _problems(**given) == "The file of POSTGRES_PASSWORD_FILE must contain a password."
    path.write_text("p@ss\n")
    assert _load(**given).database_url == "postgres://postgres:p%40ss@db:5432/app"
