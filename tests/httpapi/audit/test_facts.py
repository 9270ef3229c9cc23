"""Facts of audit records are bounded, printable, and hold no token; outside of a request nothing is noted."""

import asyncio

import pytest

from httpapi.audit import facts
from httpapi.audit.facts import MAX_FACT, MAX_LOGIN, Notes, clean, note, note_service, note_unchanged, note_user


def noted() -> Notes:
    notes, _ = facts.begin()
    return notes


def test_facts_are_noted_for_the_current_request() -> None:
    notes = noted()
    note(user_id=7, chat_id=9, role="master", jti="j", reason="", everywhere=True, until=5)
    note(login="ann")
    assert (notes.user_id, notes.chat_id) == (7, 9)
    assert notes.facts == {"role": "master", "jti": "j", "everywhere": 1, "until": 5, "login": "ann"}
    note_unchanged()
    assert notes.is_unchanged


def test_nothing_is_noted_outside_of_a_request() -> None:
    notes, token = facts.begin()
    facts.end(token)
    note(user_id=1, reason="x")
    note_user(1)
    note_service("bank")
    note_unchanged()
    assert notes == Notes()


async def test_task_of_a_request_notes_for_it() -> None:
    first = noted()

    async def work() -> None:
        note_user(3)

    task = asyncio.create_task(work())
    second = noted()
    await task
    assert (first.actor, second.actor) == ("user:3", "anonymous")


def test_service_remains_the_actor_of_what_it_does_for_a_user() -> None:
    notes = noted()
    note_service("bank", "sub:abc")
    assert (notes.actor, notes.on_behalf_of) == ("service:bank", "sub:abc")
    note_user(7)
    assert (notes.actor, notes.on_behalf_of) == ("service:bank", "user:7")


JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize("secret", [JWT, "tkt_" + "a" * 32, "rt_" + "0" * 32 + "_" + "b" * 43])
def test_credential_in_a_wrong_field_is_hidden(secret: str) -> None:
    for text in (secret, f"spam {secret} spam", "x" * (MAX_FACT - 20) + secret):
        shown = clean(text, MAX_FACT)
        assert secret[10:30] not in shown
        assert len(shown) <= MAX_FACT


def test_texts_are_bounded_and_printable() -> None:
    notes = noted()
    note(reason="a\nb\x00c\ud800" + "x" * 10_000, login="l" * 500)
    assert notes.facts["login"] == "l" * MAX_LOGIN
    reason = str(notes.facts["reason"])
    assert reason.startswith("a?b?c?x") and len(reason) == MAX_FACT
