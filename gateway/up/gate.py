"""The replica's end of its link to the supervisor: an inherited socket pair.

A replica says LISTENING on it; the supervisor says GO once all of them have. The supervisor's end closes with the
supervisor, however that ends: this is how a replica knows that it must end too.
"""

import os
import signal
import socket
import threading
import time
from typing import Final

LISTENING: Final = b"L"
GO: Final = b"G"
ORPHAN_S: Final = 6.0
"""How long a replica without a supervisor may take to drain."""


class ReplicaGate:
    """Open when the supervisor says so. A thread of its own listens, so that a busy loop does not make it deaf."""

    def __init__(self, fd: int) -> None:
        self.is_open = False
        self._link = socket.socket(fileno=fd)
        threading.Thread(target=self._listen, name="gate", daemon=True).start()

    def listening(self) -> None:
        """Tell the supervisor."""
        try:
            self._link.sendall(LISTENING)
        except OSError:  # it is gone; the thread sees to that
            return

    def _listen(self) -> None:
        while self._receive() == GO:
            self.is_open = True
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_S)
        os._exit(1)

    def _receive(self) -> bytes:
        try:
            return self._link.recv(1)
        except OSError:
            return b""
