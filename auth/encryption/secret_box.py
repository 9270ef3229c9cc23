"""Authenticated encryption of short secrets (AES-256-GCM, NIST SP 800-38D).

A sealed text is `v1.<id of the key>.<base64url of nonce, ciphertext and tag>`. What is before the last dot, and the
context that the caller names, are authenticated too: a sealed text moved to another row cannot be opened.
"""

import binascii
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from auth.errors import CannotDecrypt

KEY_LENGTH: Final = 32
_NONCE_LENGTH: Final = 12
_ID_LENGTH: Final = 8
_VERSION: Final = "v1"


class SecretBox:
    """Seals and opens with one key. Random nonces are safe for 2^32 secrets of a key."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self.key_id = key_id
        self._cipher = AESGCM(key)
        self._head = f"{_VERSION}.{key_id}"

    def seal(self, secret: bytes, context: str) -> str:
        """The sealed text, which only opens with the same context."""
        nonce = os.urandom(_NONCE_LENGTH)
        encrypted = self._cipher.encrypt(nonce, secret, self._associated(context))
        return f"{self._head}.{urlsafe_b64encode(nonce + encrypted).decode()}"

    def open(self, sealed: str, context: str) -> bytes:
        """The secret.

        Raises: CannotDecrypt, if it was sealed with another key or context, or changed since.
        """
        head, _, payload = sealed.rpartition(".")
        if head != self._head:
            raise CannotDecrypt
        try:
            raw = urlsafe_b64decode(payload.encode("ascii"))
            return self._cipher.decrypt(raw[:_NONCE_LENGTH], raw[_NONCE_LENGTH:], self._associated(context))
        except (InvalidTag, ValueError, binascii.Error):
            raise CannotDecrypt from None

    def has_sealed(self, sealed: str) -> bool:
        """Whether this text names this key."""
        return sealed.rpartition(".")[0] == self._head

    def _associated(self, context: str) -> bytes:
        return f"{self._head}.{context}".encode()


def is_sealed(text: str) -> bool:
    """Whether a text is sealed: neither JSON nor a hexadecimal number begins like this."""
    return text.startswith(f"{_VERSION}.")


def box_of_secret(secret: str) -> SecretBox:
    """The box whose key and id are derived from a secret of the operator (HKDF-SHA256, RFC 5869)."""
    key = _derived(secret, b"chat-gateway: wrapping of data keys", KEY_LENGTH)
    return SecretBox(_derived(secret, b"chat-gateway: id of KEYS_SECRET", _ID_LENGTH).hex(), key)


def _derived(secret: str, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret.encode())
