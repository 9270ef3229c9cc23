"""Migrations: once, repeated, concurrent, and consistent with the models."""

import asyncio
import importlib
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector

from storage.database.database import open_database
from storage.database.migrate import migrate
from storage.database.tortoise_config import migrating_config
from storage.errors import StorageUnavailable

MIGRATE = "import asyncio, sys; from storage.database.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"


async def applied(url: str) -> list[str]:
    async with open_database(url) as database:
        return [row["name"] for row in await database.fetch("SELECT name FROM tortoise_migrations ORDER BY name")]


def on_disk() -> list[str]:
    folder = Path(__file__).parents[3] / "storage" / "migrations"
    return sorted(path.stem for path in folder.glob("[0-9]*.py"))


def test_migrations_are_one_chain() -> None:
    names = on_disk()
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    for before, name in pairwise(names):
        migration = importlib.import_module(f"storage.migrations.{name}").Migration
        assert migration.dependencies == [("storage", before)], name


async def test_second_run_changes_nothing(database_url: str) -> None:
    await migrate(database_url)
    async with open_database(database_url) as database:
        before = await database.fetch("SELECT * FROM store_identity")
    await migrate(database_url)
    async with open_database(database_url) as database:
        assert await database.fetch("SELECT * FROM store_identity") == before
    assert len(before) == 1
    assert await applied(database_url) == on_disk()


async def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, database_url) for _ in range(4)]
    assert await asyncio.gather(*(process.wait() for process in processes)) == [0] * 4
    assert await applied(database_url) == on_disk()


async def test_models_and_migrations_agree(database_url: str) -> None:
    config = migrating_config(database_url)
    async with TortoiseContext() as context:
        await context.init(config)
        assert context.apps is not None
        assert await MigrationAutodetector(context.apps, config["apps"]).changes() == []


async def test_sqlite_folder_is_created(tmp_path: Path) -> None:
    await migrate(f"sqlite://{tmp_path}/new/folder/x.db")


async def test_missing_database_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await migrate("postgres://nobody@127.0.0.1:1/none")
    for url in ("postgres://nobody@127.0.0.1:1/none", f"sqlite://{tmp_path}/no/folder/x.db"):
        with pytest.raises(StorageUnavailable):
            async with open_database(url):
                pass


@pytest.mark.parametrize("url", ["mysql://a@b/c", "/tmp/x.db", ""])
async def test_url_of_other_scheme_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="postgres://"):
        await migrate(url)
    with pytest.raises(ValueError, match="postgres://"):
        async with open_database(url):
            pass


@pytest.mark.parametrize("kind", ["folder", "text"])
@pytest.mark.timeout(20)
async def test_path_that_is_not_a_database_gives_error_with_path(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.db"
    path.mkdir() if kind == "folder" else path.write_text("This is no database, and never was one. " * 100)
    for run in (migrate, first_use):
        with pytest.raises(StorageUnavailable, match=str(path)):
            await run(f"sqlite://{path}")


async def first_use(url: str) -> None:
    async with open_database(url):
        raise AssertionError("it was opened")
