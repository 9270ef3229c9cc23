"""Tests of the documentation as its readers use it: the site, and the snippets of its pages."""
