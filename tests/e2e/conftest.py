"""Fixtures of the tests that run the whole system."""

from tests.browser import chromium

__all__ = ["chromium"]
