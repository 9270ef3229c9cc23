"""Generators of files; each has `made() -> {path: text}`. `scripts/generate` writes or checks the files."""
