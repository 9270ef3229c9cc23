/**
 * Runs seed 000's own functions: a token, a socket, a hello. argv: the file with the code.
 *
 * Lines of JSON out: what the code wrote to its console, and at the end the close code. In: any line closes the socket.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

globalThis.WebSocket = WebSocket;
console.log = (...values) => process.stdout.write(`${JSON.stringify(values)}\n`);

const connectWebSocket = new Function(`${readFileSync(process.argv[2], "utf8")}; return connectWebSocket;`)();
const socket = await connectWebSocket();
createInterface({ input: process.stdin }).once("line", () => socket.close(1000, "done"));
socket.addEventListener("close", () => process.stdin.destroy());
