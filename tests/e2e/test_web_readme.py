"""The client library in Node, with the example of its README."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx

WEB = Path(__file__).parents[2] / "web"
(EXAMPLE,) = re.findall(r"```js\n(.*?)```", (WEB / "README.md").read_text(), re.S)
WS = Path(__file__).parents[1] / "node/node_modules/ws/wrapper.mjs"
END = """
const when = (isTrue) => new Promise((resolve) => chat.addEventListener("change", () => isTrue() && resolve()));
await when(() => chat.timeline.all[0]?.id);
chat.stop();
chat.token = "expired";
chat.send("kept");
chat.open();
await when(() => chat.closeCode === 4401);
chat.token = token;
chat.open();
await when(() => chat.timeline.all[1]?.id);
console.log(JSON.stringify({ token, chatId }));
process.exit();
"""


async def test_example_works_twice_and_expired_token_loses_nothing(system: Any, tmp_path: Path) -> None:
    example = EXAMPLE.replace("./chat.js", f"{WEB}/chat.js").replace("http://127.0.0.1:8000", system.url)
    example = example.replace("chatId,", "chatId, WebSocket,")
    program = tmp_path / "example.mjs"
    program.write_text(f'import {{ WebSocket }} from "{WS}";\n{example}{END}')
    for _ in range(2):
        process = await asyncio.create_subprocess_exec("node", str(program), stdout=PIPE, stderr=PIPE)
        try:
            async with asyncio.timeout(30):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode, errors.decode()) == (0, "")
        end = json.loads(output.splitlines()[-1])
        async with httpx.AsyncClient(base_url=system.url, headers={"Authorization": f"Bearer {end['token']}"}) as http:
            page = (await http.get(f"/api/v1/chats/{end['chatId']}/messages")).json()
        assert [message["text"] for message in page["messages"]] == ["hello", "kept"]
