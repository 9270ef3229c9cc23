"""Fixtures of the tests of the documentation."""

from tests.support.browser import chromium

__all__ = ["chromium"]
