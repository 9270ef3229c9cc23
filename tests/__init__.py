"""The suite: it mirrors the packages."""
