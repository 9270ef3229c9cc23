/**
 * Runs seed 001's own client code for one user. Lines in: `send` runs its part "Отправка сообщения". Lines of JSON out:
 * what it writes to the console, as arrays, and what went wrong here as `["fault", …]`.
 *
 * argv: the file with the code. It is a script for a browser, so the global WebSocket is the one of `ws`.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

const tell = (...values) => process.stdout.write(`${JSON.stringify(values)}\n`);
process.on("uncaughtException", (error) => tell("fault", String(error)));

const [connecting, sending] = readFileSync(process.argv[2], "utf8").split("// Отправка сообщения");
const start = new Function("WebSocket", "console", `${connecting}; return { ws, send() { ${sending} } };`);
const client = start(WebSocket, { log: tell });
client.ws.onclose = (event) => tell("closed", event.code);

const commands = createInterface({ input: process.stdin });
commands.on("line", () => client.send());
commands.on("close", () => process.exit());
