"""The data key: encrypts secrets in the database, where it is stored itself, wrapped by KEYS_SECRET.

So another KEYS_SECRET needs one row to be encrypted again, and running processes that have the data key do not notice.
"""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from auth.encryption.secret_box import KEY_LENGTH, SecretBox, box_of_secret
from auth.errors import CannotDecrypt, WrongKeysSecret
from storage.auth_records import WrappedDataKey

log = logging.getLogger("auth")

_ID_LENGTH: Final = 8


class DataKeyStore(Protocol):
    """Implemented by `storage.repositories.auth.data_keys`. Every method raises StorageUnavailable."""

    async def settle(self, change: Callable[[WrappedDataKey | None], WrappedDataKey]) -> WrappedDataKey:
        """Replace the stored data key, or its absence, by what `change` makes of it; one process at a time."""
        ...


async def open_data_key(store: DataKeyStore, secrets: Sequence[str], *, may_create: bool) -> SecretBox:
    """The box of the data key, which is created if there is none and this is allowed.

    A data key that is wrapped by a later one of `secrets` is wrapped again by the first.
    Raises: WrongKeysSecret if none of `secrets` opens it, or if there is none and it must not be created;
    StorageUnavailable.
    """
    boxes = [box_of_secret(secret) for secret in secrets]

    def change(stored: WrappedDataKey | None) -> WrappedDataKey:
        if stored is None:
            if not may_create:
                raise WrongKeysSecret
            return _wrapped(boxes[0], os.urandom(_ID_LENGTH).hex(), os.urandom(KEY_LENGTH))
        if boxes[0].has_sealed(stored.wrapped):
            return stored
        return _wrapped(boxes[0], stored.id, _unwrapped(boxes, stored))

    settled = await store.settle(change)
    return SecretBox(settled.id, _unwrapped(boxes, settled))


def _wrapped(box: SecretBox, key_id: str, key: bytes) -> WrappedDataKey:
    log.info("data_key_wrapped", extra={"fields": {"data_key": key_id, "by": box.key_id}})
    return WrappedDataKey(key_id, box.seal(key, _context(key_id)))


def _unwrapped(boxes: Sequence[SecretBox], stored: WrappedDataKey) -> bytes:
    for box in boxes:
        if box.has_sealed(stored.wrapped):
            try:
                return box.open(stored.wrapped, _context(stored.id))
            except CannotDecrypt:
                break
    raise WrongKeysSecret


def _context(key_id: str) -> str:
    return f"data_keys.{key_id}"
