"""Seed 003: `/channels/echo`."""

from typing import Final

from gateway.asyncapi.family import ANYWHERE, Access, Family, Frame
from gateway.asyncapi.fields import EchoBytes, EchoText
from gateway.protocol.codes import Close

_FRAMES: Final = (
    Frame(EchoText, ("Привет!",), "text/plain"),
    Frame(EchoBytes, (), "application/octet-stream"),
)

ECHO: Final = Family(
    name="echo",
    address="/channels/echo",
    title="The echo channel",
    description=(
        "The gateway returns each message unchanged and sends nothing else; or, with `IS_PROXY`, it forwards messages "
        "to the upstream server, and the upstream's replies to the client. The messages of both directions are stored "
        "before they are sent, and `GET /history` lists them. The URL that `GET /echo_ws` returns has a one-use ticket "
        "in its `token`."
    ),
    access=Access.USER,
    commands=_FRAMES,
    frames=_FRAMES,
    closes=ANYWHERE | {Close.UPSTREAM_LOST, Close.QUOTA_EXCEEDED},
    takes_since=False,
)
