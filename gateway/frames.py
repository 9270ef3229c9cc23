"""Server-to-client WebSocket frames (RFC 6455 §5.2): unmasked, so that one frame serves every subscriber."""


def text_frame(payload: bytes) -> bytes:
    """`payload` (UTF-8) as one complete text frame."""
    return b"\x81" + _sized(payload)


def binary_frame(payload: bytes) -> bytes:
    """`payload` as one complete binary frame."""
    return b"\x82" + _sized(payload)


def _sized(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return size.to_bytes(1) + payload
    if size < 65536:
        return b"\x7e" + size.to_bytes(2) + payload
    return b"\x7f" + size.to_bytes(8) + payload
