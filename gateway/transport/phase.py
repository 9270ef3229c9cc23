"""The phases of a WebSocket, which it goes through in this order, and the flags that may be set in each.

`WebSocketProtocol.phase` derives the phase, in one place, from uvicorn's flags and the transport:

| phase | begins when | `handshake_complete` | `close_sent`, `disconnected`, or the transport is closing |
|---|---|---|---|
| HANDSHAKE | the request arrives | no | none |
| OPEN | the application accepts | yes | none |
| CLOSING | either side closes, fails or rejects | either | at least one |
| CLOSED | asyncio reports the connection as lost | yes | `disconnected` |

`disconnected` means that the application gets and sends no more events; it is never set alone while CLOSING: a CLOSE
was sent, or the transport is closing. The other flags:

| flag | may be set |
|---|---|
| `read_paused` (uvicorn's) | from OPEN on, not while a listener is attached and the socket is OPEN |
| `is_paused` (the session's, in `incoming`) | from OPEN on, not with `disconnected` while CLOSING |
| `is_held` (`incoming`'s) | while OPEN; while CLOSING without `disconnected` |
| close reported (`direct_connection`) | while CLOSING or CLOSED; CLOSED with a listener: always, or in `losses` |

A part that is not needed any more is released: the handshake when the socket opens, the writer's way to the kernel when
it is CLOSED. A socket that is CLOSED waits in no other queue. The tests of this folder check this after every step.
"""

from enum import IntEnum


class Phase(IntEnum):
    """See the table above. A phase never returns to an earlier one."""

    HANDSHAKE = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3
