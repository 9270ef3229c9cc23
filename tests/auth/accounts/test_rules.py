"""The rules of registration, each reported when broken."""

import pytest

from auth.accounts.rules import broken_rules, is_login

GOOD = "correct horse"


def codes(login: str = "ann", password: str = GOOD, first_name: str = "", last_name: str = "") -> list[str]:
    return [f"{rule.field}:{rule.code}" for rule in broken_rules(login, password, first_name, last_name)]


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        (GOOD, []),
        ("12345аб8", []),
        ("пароль на русском", []),
        ("🔑🔑🔑🔑🔑🔑🔑x", []),
        ("p" * 127 + "q", []),
        ("password123", []),  # seed 000's own example must work
        ("", ["too_short"]),
        ("seven77", ["too_short"]),
        ("pq" * 64 + "r", ["too_long"]),
        ("long.login@x.org", ["same_as_login"]),
        ("LONG.login@X.org", ["same_as_login"]),
        ("        ", ["only_spaces"]),
        ("\t \u00a0 \u2003\n  ", ["only_spaces"]),
        ("aaaaaaaa", ["one_character_repeated"]),
        ("aaa", ["too_short", "one_character_repeated"]),
        ("a" * 129, ["too_long", "one_character_repeated"]),
        ("password", ["too_common"]),
        ("PassWord", ["too_common"]),
        ("1234567890", ["too_common"]),
    ],
)
def test_password_reports_every_broken_rule(password: str, expected: list[str]) -> None:
    assert codes("long.login@x.org", password) == [f"password:{code}" for code in expected]


@pytest.mark.parametrize("login", ["ann", "a.b", "user@example.com", "A_b+c-9", "x" * 64, "..."])
def test_login_of_allowed_characters_is_accepted(login: str) -> None:
    assert is_login(login)
    assert codes(login) == []


@pytest.mark.parametrize(
    "login",
    [
        "",
        "ab",
        "x" * 65,
        "анна",
        "аnn",
        "ann é",
        "a b c",
        "ann\n",
        "ann\x00",
        "ann\u200b",
        "ａｎｎ",
        "a/b",
        "٤٢٤٢",
        "a\ud800b",
    ],
)
def test_login_of_other_characters_is_rejected(login: str) -> None:
    assert not is_login(login)
    assert codes(login) == ["login:invalid_login"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Анна", []),
        ("علی\u200cرضا", []),
        ("Jean\u00a0Luc ❤\ufe0f", []),
        ("x" * 151, ["too_long"]),
        ("\u200b" * 151, ["too_long"]),
        ("a\x00b", ["unprintable"]),
        ("a\u202eb", ["unprintable"]),
        ("a\u2066b", ["unprintable"]),
        (" ", ["unprintable"]),
        ("\u3164", ["unprintable"]),
    ],
)
def test_names_must_be_short_and_printable(name: str, expected: list[str]) -> None:
    assert codes(first_name=name) == [f"first_name:{code}" for code in expected]
    assert codes(last_name=name) == [f"last_name:{code}" for code in expected]


def test_all_broken_rules_are_reported_with_a_sentence_each() -> None:
    rules = broken_rules("a b", "a b", "\n", "x" * 200)
    assert [f"{rule.field}:{rule.code}" for rule in rules] == [
        "login:invalid_login",
        "password:too_short",
        "password:same_as_login",
        "first_name:unprintable",
        "last_name:too_long",
    ]
    assert all(rule.detail.endswith((".", "-")) for rule in rules)
