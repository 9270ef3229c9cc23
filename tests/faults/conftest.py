"""The folder for the servers of a rig."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import temporary_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that PostgreSQL's own user may look into too."""
    folder = temporary_folder()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
