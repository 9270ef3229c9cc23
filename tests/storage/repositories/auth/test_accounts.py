"""Accounts and signing keys, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from storage.auth_records import Account, SigningKey
from storage.errors import LoginTaken
from storage.repositories.auth.keys import SigningKeys
from tests.storage.nodes import Node

MADE = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


async def test_account_is_found_by_id_and_by_login_in_any_case(node: Node) -> None:
    ann = await node.accounts.create("Ann", "hash", "Anna", "Smith")
    assert (ann.username, ann.first_name, ann.last_name) == ("Ann", "Anna", "Smith")
    for login in ("Ann", "ann", "ANN"):
        assert await node.accounts.by_login(login) == Account(ann, "hash")
    assert await node.accounts.by_id(ann.id) == ann
    assert await node.accounts.by_login("bob") is None
    for user_id in (999, 0, -1, 10**40):
        assert await node.accounts.by_id(user_id) is None


async def test_taken_login_in_other_letter_case_is_rejected(node: Node, other_node: Node) -> None:
    results = await asyncio.gather(
        *(where.accounts.create(login, "hash") for where in (node, other_node) for login in ("ann", "Ann", "ANN")),
        return_exceptions=True,
    )
    assert [isinstance(result, LoginTaken) for result in results].count(True) == 5
    with pytest.raises(LoginTaken):
        await node.accounts.create("aNN", "hash")


async def test_password_hash_is_replaced(node: Node) -> None:
    ann = await node.accounts.create("ann", "old")
    assert await node.accounts.replace_hash(ann.id, "old", "new")
    assert await node.accounts.by_login("ann") == await node.accounts.by_user_id(ann.id) == Account(ann, "new")
    for user_id, replaced in ((ann.id, "old"), (999, "new"), (2**70, "new")):
        assert not await node.accounts.replace_hash(user_id, replaced, "newer")
    assert await node.accounts.by_user_id(2**70) is None
    assert await node.accounts.by_login("ann") == Account(ann, "new")


async def test_concurrent_processes_agree_on_one_key(node: Node, other_node: Node) -> None:
    stores = [SigningKeys(where.database) for where in (node, other_node) for _ in range(3)]
    assert await stores[0].all() == []
    keys = [SigningKey(f"kid{n}", "{}", MADE + timedelta(seconds=n)) for n in range(6)]
    agreed = await asyncio.gather(*(store.add_first_if_none(key) for store, key in zip(stores, keys, strict=True)))
    assert len(set(agreed)) == 1
    assert await stores[0].all() == [agreed[0]]


async def test_keys_are_listed_oldest_first(node: Node) -> None:
    keys = SigningKeys(node.database)
    new, old = SigningKey("new", '{"kty":"EC"}', MADE + timedelta(days=1)), SigningKey("old", "{}", MADE)
    await keys.add(new)
    await keys.add(old)
    assert await keys.all() == [old, new]
    assert (await keys.all())[0].created_at.utcoffset() == timedelta(0)
