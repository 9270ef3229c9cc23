"""The replica's side of its link to the supervisor: an inherited socket pair.

A replica sends lines: LISTENING, and later what an operator asks of the supervisor (STOP and a process id, CUT_REDIS).
The supervisor sends OWN_REDIS if it started Redis, and GO once all replicas listen. Its end closes however the
supervisor ends, which tells the replica to end too.
"""

import os
import signal
import socket
import threading
import time
from typing import Final

LISTENING: Final = b"listening"
STOP: Final = b"stop "
CUT_REDIS: Final = b"cut-redis"
OWN_REDIS: Final = b"R"
GO: Final = b"G"
ORPHAN_S: Final = 6.0
"""How long a replica without a supervisor may take to drain."""


class SupervisedBarrier:
    """The startup barrier that the supervisor opens. A thread reads the link, independently of a busy event loop.

    Also implements `gateway.api.operator.up.Controls`: the supervisor does what it is asked, or ignores it.
    """

    def __init__(self, fd: int) -> None:
        self.is_open = False
        self.has_own_redis = False
        self._link = socket.socket(fileno=fd)
        threading.Thread(target=self._listen, name="gate", daemon=True).start()

    def listening(self) -> None:
        """Notify the supervisor."""
        self._send(LISTENING)

    def stop(self, pid: int) -> None:
        """Have the replica with this process id killed."""
        self._send(STOP + str(pid).encode())

    def cut_redis(self) -> None:
        """Have Redis killed, and started again a few seconds later."""
        self._send(CUT_REDIS)

    def _send(self, line: bytes) -> None:
        try:
            self._link.sendall(line + b"\n")
        except OSError:  # the supervisor has ended; the thread handles that
            return

    def _listen(self) -> None:
        while message := self._receive():
            self.is_open |= message == GO
            self.has_own_redis |= message == OWN_REDIS
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_S)
        os._exit(1)

    def _receive(self) -> bytes:
        try:
            return self._link.recv(1)
        except OSError:
            return b""
