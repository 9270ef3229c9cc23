"""Builds of CPython: which one is reported as slow, and how each is named in a report."""

import platform
import sys
import sysconfig

import pytest

from gateway.server import interpreter

OPTIMIZED = "'--enable-shared' '--enable-optimizations' '--with-lto=full'"


@pytest.mark.parametrize(
    ("options", "prefix", "is_slow", "build"),
    [
        ("'--enable-shared'", "/opt/python", True, "without --enable-optimizations, without --with-lto"),
        ("'--with-lto'", "/opt/python", True, "without --enable-optimizations, --with-lto"),
        (OPTIMIZED, "/usr/local", False, "--enable-optimizations, --with-lto"),
        ("'--enable-shared'", "/usr", False, "of the distribution"),
        (None, "C:\\Python", False, "options unknown"),
    ],
)
def test_only_plain_build_is_slow(
    options: str | None, prefix: str, is_slow: bool, build: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": options}.get)
    monkeypatch.setattr(sys, "base_prefix", prefix)
    slowness = interpreter.slowness()
    assert ("--enable-optimizations" in slowness and prefix in slowness) if is_slow else not slowness
    assert interpreter.build() == f"CPython {platform.python_version()} ({build})"
