/**
 * Clients of `clients/js` in Node or Deno, driven over JSON lines: `{id, do, with: [...]}` gets `{id, result}` or `{id, error}`.
 *
 * With the argument `ws` clients are given the WebSocket of that package, else they use that of the runtime.
 */

import process from "node:process";
import { createInterface } from "node:readline";

import { answer, begin } from "./operations.mjs";

const WebSocket = process.argv[2] === "ws" ? (await import("ws")).WebSocket : undefined;
begin({ WebSocket, say: (frame) => process.stdout.write(`${JSON.stringify(frame)}\n`) });
for await (const line of createInterface({ input: process.stdin })) answer(JSON.parse(line));
process.exit(0);
