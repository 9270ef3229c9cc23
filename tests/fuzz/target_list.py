"""Every target, by name."""

from collections.abc import Mapping
from typing import Final

from tests.fuzz.case import OpenTarget
from tests.fuzz.targets.dialects import open_dialects
from tests.fuzz.targets.forms import open_forms
from tests.fuzz.targets.frames import Frames, PausedFrames, QueuedFrames, open_frames
from tests.fuzz.targets.http import open_http
from tests.fuzz.targets.jwt import open_jwt
from tests.fuzz.targets.lua import open_lua
from tests.fuzz.targets.positions import open_positions

TARGETS: Final[Mapping[str, OpenTarget]] = {
    "frames": open_frames(Frames),
    "paused-frames": open_frames(PausedFrames),
    "queued-frames": open_frames(QueuedFrames),
    "dialects": open_dialects,
    "jwt": open_jwt,
    "forms": open_forms,
    "lua": open_lua,
    "http": open_http,
    "positions": open_positions,
}
