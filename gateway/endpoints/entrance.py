"""The chat of a handshake's URL, opened on this node while the caller is being admitted.

Redis confirms the subscription to the chat first, so that the statement that reads the membership also reads the
position from which the chat is live here. The limits of handshakes and the token are checked before either.
"""

from types import TracebackType
from typing import Self

from gateway.delivery.hub import LocalChat
from gateway.endpoints.handshake import Handshake
from gateway.protocol.ids import id_in
from gateway.sessions.context import SessionContext
from storage.records import Admission


class Entrance:
    """A context manager: an exception in it ends the subscription; otherwise a session must take over `local`."""

    __slots__ = ("_chat_id", "_membership", "_node", "local")

    def __init__(self, handshake: Handshake, context: SessionContext) -> None:
        self._chat_id = id_in(handshake.path_params["chat_id"])
        self._membership = context.membership
        self._node = context.node
        self.local: LocalChat | None = None
        """None before `admit`."""

    async def admit(self, user_id: int) -> Admission | None:
        """The user's membership of the chat; None if there is none.

        Raises: StorageUnavailable.
        """
        if self._chat_id is None:
            return None
        self.local = await self._node.approach(self._chat_id)
        admission = await self._membership.admit(self._chat_id, user_id)
        if admission is not None:
            self._node.start(self.local, admission.position, admission.epoch)
        return admission

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is not None and self.local is not None:
            self._node.retreat(self.local)
