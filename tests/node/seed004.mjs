/**
 * Runs seed 004's own `ChatWebSocket` for one user. Lines of JSON in, lines of JSON out.
 *
 * argv: the file with the class, the chat's id, the user's token. In: `{"do": <method>, "with": [arguments]}`. Out:
 * `{"event", "value"}`: what the class showed (displayMessage, showTypingIndicator, showReadIndicator), what it wrote to
 * the console (log, error), and what went wrong here (fault).
 *
 * The seed says that the token goes in the Authorization header, which a browser's WebSocket cannot send; so the global
 * WebSocket here is one that does.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

const [file, chatId, token] = process.argv.slice(2);
const tell = (event, value) => process.stdout.write(`${JSON.stringify({ event, value })}\n`);

globalThis.WebSocket = class extends WebSocket {
  constructor(url) {
    super(url, { headers: { Authorization: `Bearer ${token}` } });
  }
};
for (const level of ["log", "error"]) console[level] = (...values) => tell(level, values.map(plain));
process.on("uncaughtException", (error) => tell("fault", String(error)));

const ChatWebSocket = new Function(`${readFileSync(file, "utf8")}; return ChatWebSocket;`)();
const chat = new ChatWebSocket(Number(chatId), token);
for (const method of ["displayMessage", "showTypingIndicator", "showReadIndicator"]) {
  chat[method] = (value) => tell(method, value);
}

/** What an argument of console.log says as JSON; an event or error as its message. */
function plain(value) {
  return value?.message === undefined ? value : String(value.message);
}

const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => {
  const command = JSON.parse(line);
  chat[command.do](...command.with);
});
commands.on("close", () => process.exit());
