"""Password hashing: argon2id with OWASP parameters, off the event loop, bounded, equal for unknown users."""

import asyncio
import threading
import time
from typing import Literal

import argon2
import pytest
from argon2 import PasswordHasher

from auth.accounts.passwords import MOST_THREADS, Passwords
from auth.accounts.thread_pool import Workers
from auth.errors import Overloaded

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse"


async def test_password_matches_only_its_own_hash() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash(PASSWORD)
    assert (await passwords.verify(PASSWORD, stored)).matches
    assert not (await passwords.verify(PASSWORD + " ", stored)).matches
    assert not (await passwords.verify("", stored)).matches
    assert stored != await passwords.hash(PASSWORD), "each hash has a salt of its own"


async def test_hash_parameters_meet_owasp_minimum() -> None:
    stored = await Passwords().hash(PASSWORD)
    parameters = argon2.extract_parameters(stored)
    assert parameters.type is argon2.low_level.Type.ID
    assert parameters.memory_cost >= 19 * 1024
    assert parameters.time_cost >= 2
    assert parameters.parallelism == 1
    assert PASSWORD not in stored


async def test_outdated_hash_is_replaced_after_right_password() -> None:
    old = await Passwords(CHEAP).hash(PASSWORD)
    passwords = Passwords()
    assert (await passwords.verify("wrong", old)).new_hash is None
    verdict = await passwords.verify(PASSWORD, old)
    assert verdict.matches
    assert verdict.new_hash is not None
    assert await passwords.verify(PASSWORD, verdict.new_hash) == type(verdict)(matches=True, new_hash=None)


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=8", "$2b$12$abcdefghijklmnopqrstuv", "é"])
async def test_damaged_hash_matches_no_password(stored: str) -> None:
    assert not (await Passwords(CHEAP).verify(PASSWORD, stored)).matches


async def test_unicode_equivalent_password_matches() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("caf\u00e9 noir")
    assert (await passwords.verify("cafe\u0301 noir", stored)).matches


class CountingHasher(PasswordHasher):
    """Notes how many verifications run at once, and of which hashes."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str | bytes] = []
        self.threads: set[str] = set()
        self.running = self.most_running = 0
        self.lock = threading.Lock()
        self.gate = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2's name
        with self.lock:
            self.verified.append(hash)
            self.threads.add(threading.current_thread().name)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        self.gate.wait(10)
        with self.lock:
            self.running -= 1
        return super().verify(hash, password)


async def test_unknown_user_costs_a_full_verification_and_fails() -> None:
    hasher = CountingHasher()
    hasher.gate.set()
    passwords = Passwords(hasher)
    assert not (await passwords.verify(PASSWORD, None)).matches
    (dummy,) = hasher.verified
    assert not hasher.check_needs_rehash(dummy)


async def test_known_and_unknown_users_take_equal_time() -> None:
    passwords = Passwords(threads=1)
    stored = await passwords.hash(PASSWORD)

    async def took(stored: str | None) -> float:
        start = time.perf_counter()
        await passwords.verify("wrong guess", stored)
        return time.perf_counter() - start

    known, unknown = [], []
    for _ in range(9):  # in turn, so that a busy machine slows both
        known.append(await took(stored))
        unknown.append(await took(None))
    assert 0.5 < min(known) / min(unknown) < 2


async def test_hashing_waits_for_a_thread_and_full_queue_rejects() -> None:
    hasher = CountingHasher()
    passwords = Passwords(hasher, threads=2, waiting=3)
    accepted = [asyncio.create_task(passwords.verify(PASSWORD, None)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await passwords.verify(PASSWORD, None)
    hasher.gate.set()
    await asyncio.gather(*accepted)
    assert hasher.most_running <= 2
    assert threading.current_thread().name not in hasher.threads
    await passwords.verify(PASSWORD, None)


async def test_many_cores_do_not_raise_hashing_threads_beyond_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    accepted = [asyncio.create_task(passwords.verify(PASSWORD, None)) for _ in range(20)]
    async with asyncio.timeout(10):
        while hasher.most_running < MOST_THREADS:  # the hasher counts in other threads
            await asyncio.sleep(0.01)
    hasher.gate.set()
    await asyncio.gather(*accepted)
    assert hasher.most_running == MOST_THREADS


async def test_cancelled_caller_frees_its_thread_when_work_ends() -> None:
    workers = Workers("test", threads=1, waiting=0)
    gate, began = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait(10)

    leaving = asyncio.create_task(workers.run(work))
    assert await asyncio.to_thread(began.wait, 10)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    with pytest.raises(Overloaded):
        await workers.run(work)
    gate.set()
    async with asyncio.timeout(10):
        while True:
            try:
                await workers.run(work)
                break
            except Overloaded:
                await asyncio.sleep(0.001)
    workers.close()


async def test_cancelled_waiting_caller_frees_its_place_at_once() -> None:
    workers = Workers("test", threads=1, waiting=1)
    gate = threading.Event()
    running = asyncio.create_task(workers.run(lambda: gate.wait(10)))
    waiting = asyncio.create_task(workers.run(lambda: gate.wait(10)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    third = asyncio.create_task(workers.run(lambda: gate.wait(10)))
    await asyncio.sleep(0)
    gate.set()
    assert await running
    assert await third
    workers.close()
