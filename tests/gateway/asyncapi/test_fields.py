"""The patterns of the AsyncAPI document allow what the gateway allows."""

import re

import pytest

from gateway.asyncapi.fields import VISIBLE_KEY
from gateway.protocol.validation import check_reaction_key

KEYS = ("a", " a", "\u200d\u2764\ufe0f", "a\u200d", " ", "\u2800", "\x01a", "a\x01", "\x00a", "a\x00", "\x7fa", "a\x9f")


@pytest.mark.parametrize("key", KEYS)
def test_documented_keys_of_reactions_are_the_valid_ones(key: str) -> None:
    assert (re.search(VISIBLE_KEY, key) is not None) is check_reaction_key(key)
