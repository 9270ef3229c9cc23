"""The system that the tests of this folder share."""

import re
from collections.abc import Iterator

import pytest

from tests.e2e.system import System, run_system
from tests.guide.snippets import snippets


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two nodes with the settings that the tutorial writes to `.env`."""
    (code,) = [each.code for each in snippets("docs/tutorial.md") if "scripts/up" in each.code]
    settings = dict(re.findall(r"(?m)^(\w+)=(.+)$", code))
    with run_system(tmp_path_factory.mktemp("system"), settings) as running:
        yield running
