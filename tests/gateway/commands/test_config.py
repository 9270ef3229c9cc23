"""`chat-gateway config`."""

from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config.settings import known_settings

SECRETS = {
    "REDIS_URL": "redis://bob:hunter2-redis@redis.example:6379/0?password=hunter2-redis",
    "DATABASE_URL": "postgres://bob:hunter2-database@db.example:5433/chat?sslmode=require",
    "AMQP_URL": "amqp://bob:hunter2-queue@queue.example/vhost",
    "JWKS_URL": "https://bob:hunter2-keys@issuer.example/hunter2-path",
    "JWT_ISSUER": "issuer.example",
    "JWT_AUDIENCE": "chat",
    "SECRET_KEY": "hunter2-secret-key-of-more-than-32-characters",
    "KEYS_SECRET": "hunter2-keys-secret-of-more-than-32-characters",
    "SERVICE_KEYS": "bank:hunter2-service-key-1:users+chats,crm:hunter2-service-key-2",
    "WEBHOOKS": '[{"url":"https://hook.example","secret":"hunter2-webhook-secret-of-many-characters","name":"crm"}]',
    "PUBLIC_URL": "https://chat.example",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _shown(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """The value and the source by name."""
    assert main(["config", "show"]) == 0
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    return {name: tuple(part.strip() for part in rest.rsplit("  ", 1)) for name, rest in rows}  # type: ignore[misc]


def test_show_has_every_setting_with_its_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".env").write_text("APP_PORT=9001\nDRAIN_S=7.5\n")
    (folder / "src").mkdir()
    (folder / "src/.env").write_text("APP_PORT=9002\nMAX_TEXT_LENGTH=500\n")
    monkeypatch.setenv("DRAIN_S", "8")
    monkeypatch.setenv("APP_ENV", "development")
    shown = _shown(capsys)
    assert list(shown) == [known.name.upper() for known in known_settings()]
    assert shown["APP_PORT"] == ("9001", ".env")
    assert shown["DRAIN_S"] == ("8", "environment")
    assert shown["MAX_TEXT_LENGTH"] == ("500", "src/.env")
    assert shown["ALLOW_GUESTS"] == ("true", "default")
    assert shown["HISTORY_PER_MINUTE"] == ("0", "default")
    assert shown["DATABASE_URL"] == (f"{folder}/.data/chat.db", "default")
    assert shown["TRUSTED_PROXIES"] == ("(none)", "default")


def test_show_hides_every_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    shown = _shown(capsys)
    assert "hunter2" not in str(shown)
    assert shown["REDIS_URL"] == ("redis://redis.example:6379/0", "environment")
    assert shown["DATABASE_URL"] == ("postgres://db.example:5433/chat", "environment")
    assert shown["AMQP_URL"][0] == "amqp://queue.example"
    assert shown["JWKS_URL"][0] == "https://issuer.example"
    assert shown["SERVICE_KEYS"][0] == "bank (chats+users) crm (all scopes)"
    assert {shown[name][0] for name in ("SECRET_KEY", "KEYS_SECRET", "WEBHOOKS")} == {"(hidden)"}
    assert shown["POSTGRES_PASSWORD"] == ("(hidden)", "default")
    assert shown["PASSWORD_RESET_SECRET"] == ("(none)", "default")


def test_check_names_each_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "PUBLIC_URL or ALLOWED_ORIGINS must be set in production" in error
    monkeypatch.setenv("PUBLIC_URL", "https://chat.example")
    assert main(["config", "check"]) == 0  # of a gateway, which does not get the secret
    assert "KEYS_SECRET or KEYS_SECRET_FILE must be set in production" in capsys.readouterr().err
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (folder / ".env").write_text("REDIS_URLL=redis://127.0.0.1:1\n")
    assert main(["config", "check"]) == 0
    assert capsys.readouterr() == (
        "The settings are valid (APP_ENV=production).\n",
        "chat-gateway: REDIS_URLL in .env is not a setting; did you mean REDIS_URL?\n",
    )
    monkeypatch.setenv("WEBHOOKS", "[{}]")
    assert main(["config", "check"]) == 2
    assert "WEBHOOKS" in capsys.readouterr().err
