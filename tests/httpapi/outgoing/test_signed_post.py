"""Signed POSTs, to a real server over TLS."""

import asyncio
import hmac
import ssl
from pathlib import Path

import pytest

from httpapi.errors import PostFailed
from httpapi.outgoing.signed_post import SignedPoster
from tests.support.certificates import Authority

BODY = b'{"a":1}'


async def test_post_is_signed_and_names_user_and_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[dict[str, str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        heads.append({"": lines[0], **dict(line.split(": ", 1) for line in lines[1:] if line)})
        assert await reader.readexactly(len(BODY)) == BODY
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    authority = Authority(tmp_path, "private")
    pair = authority.issue("server", "DNS:localhost")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"https://an%40n:pass@localhost:{port}/a?b=c"
        stranger = SignedPoster(url, "", 10)
        with pytest.raises(PostFailed, match="ConnectError"):  # no public authority has signed the certificate
            await stranger.post(BODY)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        await SignedPoster(url, "", 10).post(BODY)
        await SignedPoster(url, "the secret", 10).post(BODY, address="127.0.0.1", headers={"traceparent": "00-1"})
    unsigned, signed = heads
    assert unsigned == {
        "": "POST /a?b=c HTTP/1.1",
        "Host": f"localhost:{port}",
        "User-Agent": "chat-gateway",
        "Content-Type": "application/json",
        "Authorization": "Basic YW5AbjpwYXNz",
        "Content-Length": "7",
    }
    at, _, signature = signed.pop("X-Chat-Signature").removeprefix("t=").partition(",v1=")
    assert signature == hmac.new(b"the secret", at.encode() + b"." + BODY, "sha256").hexdigest()
    assert signed == {**unsigned, "traceparent": "00-1"}
