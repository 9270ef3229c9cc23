"""The filter of breached passwords."""

import secrets
import time

import pytest

from auth.accounts.breached_passwords import BloomFilter, is_breached
from auth.accounts.rules import broken_rules
from scripts.generators.breached_passwords import chosen, content_of

BREACHED = """12345678 123456789 0123456789 987654321 123123123 12341234 password password1 passw0rd p@ssw0rd qwertyui
qwertyuiop qwerty123 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq12wsx asdfghjkl abcd1234 abc12345 iloveyou sunshine princess
football baseball superman trustno1 starwars computer letmein1 admin123 changeme michelle corvette trottolino"""


@pytest.mark.parametrize("password", BREACHED.split())
def test_password_of_a_breach_is_refused_in_any_case(password: str) -> None:
    for given in (password, password.upper(), password.title()):
        assert [rule.code for rule in broken_rules("ann", given, "", "")] == ["too_common"]


@pytest.mark.parametrize("password", ["correct horse", "battery staple", "password123", "пароль чата", "\ud800" * 8])
def test_other_passwords_are_accepted(password: str) -> None:
    """The third one is in seed 000's example, whose client must run unchanged."""
    assert not is_breached(password)


def test_random_passwords_are_rarely_taken_for_breached() -> None:
    assert sum(is_breached(secrets.token_urlsafe(9)) for _ in range(50_000)) <= 6


def test_lookup_takes_less_than_a_millisecond() -> None:
    started = time.process_time()
    for number in range(1_000):
        is_breached(f"{number} is no password of anybody")
    assert time.process_time() - started < 1.0


def test_generated_filter_holds_its_passwords() -> None:
    words = [f"stolen {number}" for number in range(500)]
    passwords = chosen([*words, "short", "PASSWORD123", "Longer One"])
    assert passwords == {*words, "longer one"}
    made = BloomFilter(content_of(passwords))
    assert all(word in made for word in words)
    assert "LONGER ONE" in made
    assert sum(f"other {number}" in made for number in range(10_000)) <= 5
