"""`python -m scripts.generators [--check]`; `scripts/generate` runs it in the environment of the tests."""

import argparse
import sys
from pathlib import Path

from scripts.generators import chart, client_types, metrics_table, monitoring, roles_table, settings_table, version
from scripts.generators.marked import ROOT


def made() -> dict[Path, str]:
    """Every generated file with its expected content."""
    files: dict[Path, str] = {}
    for generator in (settings_table, metrics_table, roles_table, chart, monitoring, client_types, version):
        files |= generator.made()
    return files


def main() -> int:
    """Write the stale files or, with --check, only list them."""
    parser = argparse.ArgumentParser(prog="scripts/generate", description="Write all generated files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is stale")
    must_check = parser.parse_args().check
    files = made()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    gone = [path for path in monitoring.IN_CHART.glob("*.json") if path not in files]
    for path in stale:
        if must_check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run scripts/generate\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
    for path in gone:
        if must_check:
            sys.stderr.write(f"{path.relative_to(ROOT)} has no source any more: run scripts/generate\n")
        else:
            path.unlink()
    return 1 if must_check and (stale or gone) else 0


if __name__ == "__main__":
    sys.exit(main())
