"""External users, on both databases: one per identity, never confused with others."""

import asyncio
import hashlib

import pytest

from auth.accounts.passwords import Passwords
from auth.accounts.rules import is_login
from storage.records import NewMember
from storage.repositories.identities import MAX_NAME, Identities
from tests.storage.nodes import Node

MAIN = "https://main.example"


@pytest.fixture
def identities(node: Node) -> Identities:
    return Identities(node.database)


async def test_identity_always_maps_to_the_same_user(node: Node, identities: Identities) -> None:
    ann = await identities.person(MAIN, "u-1", "ann")
    assert await identities.person(MAIN, "u-1", "ann of another name by now") == ann
    assert await Identities(node.database).person(MAIN, "u-1", "") == ann
    assert await node.accounts.by_id(ann.id) == ann


async def test_identities_are_compared_exactly(identities: Identities) -> None:
    pairs = [(MAIN, "u"), (MAIN, "U"), (MAIN, "u "), (MAIN + "/", "u"), ("", MAIN + "u"), ("", "u"), (MAIN[:-1], "eu")]
    people = [await identities.person(issuer, subject, "ann") for issuer, subject in pairs]
    assert len({person.id for person in people}) == len({person.username for person in people}) == len(pairs)


async def test_racing_first_logins_create_one_user(node: Node, other_node: Node) -> None:
    both = [Identities(where.database) for where in (node, other_node)]
    people = await asyncio.gather(*(both[n % 2].person(MAIN, "u-1", f"ann{n}") for n in range(12)))
    assert len(set(people)) == 1
    assert (await node.database.fetch("SELECT count(*) AS n FROM users WHERE id > 0"))[0]["n"] == 1


async def test_external_user_never_has_a_registrable_login(node: Node, identities: Identities) -> None:
    account = await node.accounts.create("ann", "hash")
    outside = await identities.person(MAIN, "u-1", "ann")
    admin = await identities.person(MAIN, "u-2", "admin")
    assert outside.id != account.id
    assert (await node.accounts.create("admin", "hash")).id != admin.id
    for person in (outside, admin):
        assert not is_login(person.username)  # so it can neither be registered nor attacked with passwords


async def test_external_user_has_no_valid_password(node: Node, identities: Identities) -> None:
    person = await identities.person(MAIN, "u-1", "ann")
    account = await node.accounts.by_login(person.username)
    assert account is not None
    passwords = Passwords()
    try:
        for password in ("", account.password_hash, "correct horse"):
            assert not (await passwords.verify(password, account.password_hash)).matches
    finally:
        passwords.close()


async def test_external_user_is_found_by_displayed_name(node: Node, identities: Identities) -> None:
    ann, bob = await node.person("ann"), await identities.person(MAIN, "u-1", "Bob")
    chat_id = await node.group(ann)
    member, _ = await node.chats.add_member(chat_id, ann.id, NewMember(login=bob.username.upper()))
    assert member.person == bob


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Анна 🏠", "Анна 🏠"),
        ("a\x00b\nc\u202ed\ud800", "abcd"),
        ("", "user"),
        (" \t", "user"),
        ("x" * 4000, "x" * MAX_NAME),
        ("ΐ" * 4000, "ΐ" * MAX_NAME),  # three characters when folded
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("a\u00a0b ❤\ufe0f 👩\u200d🚀", "a\u00a0b ❤\ufe0f 👩\u200d🚀"),
        ("👩\u200d👩\u202e", "👩\u200d👩"),
        ("a\u200bb\u3164\u2066", "ab"),
        ("\u3164\u2800", "user"),
        ("queue", "queue"),
        ("a:b", "a:b"),
    ],
)
async def test_any_external_name_can_be_stored_and_shown(identities: Identities, name: str, shown: str) -> None:
    person = await identities.person(MAIN, "u-1", name)
    assert person.username.rpartition(":")[0] == shown
    assert len(person.username.rpartition(":")[2]) == 8


async def test_login_collision_is_resolved_by_a_longer_suffix(node: Node, identities: Identities) -> None:
    digest = hashlib.sha256(f"{len(MAIN)}:{MAIN}u-1".encode()).hexdigest()
    await node.accounts.create(f"ann:{digest[:8]}", "")
    assert (await identities.person(MAIN, "u-1", "Ann")).username == f"Ann:{digest}"


async def test_longest_identity_can_be_stored(identities: Identities) -> None:
    issuer, subject = "я" * 255, "🏠" * 255
    assert await identities.person(issuer, subject, "ann") == await identities.person(issuer, subject, "ann")
