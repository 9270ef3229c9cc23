"""The replica's side of its link to the supervisor: an inherited socket pair.

A replica sends LISTENING; the supervisor sends GO once all replicas have done so. The supervisor's end closes however
the supervisor ends, which tells the replica to end too.
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


class SupervisedBarrier:
    """The startup barrier that the supervisor opens. A thread reads the link, independently of a busy event loop."""

    def __init__(self, fd: int) -> None:
        self.is_open = False
        self._link = socket.socket(fileno=fd)
        threading.Thread(target=self._listen, name="gate", daemon=True).start()

    def listening(self) -> None:
        """Notify the supervisor."""
        try:
            self._link.sendall(LISTENING)
        except OSError:  # the supervisor has ended; the thread handles that
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
