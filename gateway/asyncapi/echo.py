"""Seed 003: `/channels/echo`."""

from typing import Final

from gateway.asyncapi.family import ANYWHERE, Access, Family, Frame
from gateway.asyncapi.fields import EchoBytes, EchoText
from gateway.codes import Close

_FRAMES: Final = (
    Frame(EchoText, ("Привет!",), "text/plain"),
    Frame(EchoBytes, (), "application/octet-stream"),
)

ECHO: Final = Family(
    name="echo",
    address="/channels/echo",
    title="The echo channel (seed 003)",
    description=(
        "What a client sends comes back verbatim, and nothing else; or, with `IS_PROXY`, what the upstream answers. "
        "Both directions are stored before they go on, and `GET /history` reads them. The link that `GET /echo_ws` "
        "answers has a one-use ticket in its `token`."
    ),
    access=Access.USER,
    commands=_FRAMES,
    frames=_FRAMES,
    closes=ANYWHERE | {Close.UPSTREAM_LOST},
    takes_since=False,
)
