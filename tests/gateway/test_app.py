"""What a node loads before it knows its settings."""

import subprocess
import sys

OPTIONAL = {"aio_pika", "gateway.tracing.traces", "httpx"}


def test_libraries_of_optional_parts_are_not_imported() -> None:
    code = f"import gateway.app, sys; sys.exit(str(sorted({OPTIONAL} & set(sys.modules)) or ''))"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300)
    assert run.stderr.strip() == ""
