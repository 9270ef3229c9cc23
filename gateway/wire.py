"""How values become JSON on every wire of ours: times are whole seconds of UTC with `Z`."""

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS


def to_json(value: object) -> bytes:
    """`value` (dicts, lists, strings, numbers, aware datetimes) as UTF-8 JSON."""
    return orjson.dumps(value, option=_OPTIONS)
