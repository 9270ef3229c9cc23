"""Revocations of tests in which nothing is revoked."""

from gateway.protocol.codes import Disconnect
from storage.auth_records import Credential


class NoRevocations:
    """Implements `gateway.interfaces.revocations.RevocationCheck`; `refused` may be set."""

    refused: Disconnect | None = None

    def refusal(self, _: Credential) -> Disconnect | None:
        """See `RevocationCheck`."""
        return self.refused
