/**
 * Runs the guest in Hermes, the engine of React Native, and is the native side of it: sockets, HTTP and timers. Between the
 * test and the guest it passes lines of JSON on.
 *
 * The code reaches Hermes as an application's does: bundled, and through React Native's Babel preset.
 */

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { transformAsync } from "@babel/core";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { build } = require("esbuild");
const { WebSocket } = require("ws");
const HERMES = fileURLToPath(new URL("node_modules/hermes-engine-cli/linux64-bin/hermes", import.meta.url));
const FRAME = "\u0001";

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("guest.mjs", import.meta.url))], bundle: true, format: "iife", target: "esnext", write: false,
});
const { code } = await transformAsync(outputFiles[0].text, {
  presets: [["@react-native/babel-preset", { enableBabelRuntime: false }]], babelrc: false, configFile: false, compact: true,
  sourceType: "script", cwd: fileURLToPath(new URL(".", import.meta.url)),
});
const hermes = spawn(HERMES, ["-Xes6-promise", "-Xmicrotask-queue", "-prompt=", "-prompt2="], { stdio: ["pipe", "pipe", "inherit"] });
const run = (source) => hermes.stdin.write(`${source}\n`);
const reply = (id, value, isLast = true) => run(`fromHost(${JSON.stringify({ reply: id, with: value, isLast })})`);
const sockets = new Map();

const native = {
  timer: (id, ms) => setTimeout(() => reply(id, null), ms),
  async fetch(id, url, method, headers, body) {
    const response = await fetch(url, { method, headers, body }).catch(() => null);
    if (!response) return reply(id, { status: 0 });
    return reply(id, { status: response.status, text: await response.text(), headers: Object.fromEntries(response.headers) });
  },
  open(id, url, protocols) {
    const socket = new WebSocket(url, protocols);
    sockets.set(id, socket);
    socket.onopen = () => reply(id, { type: "open" }, false);
    socket.onmessage = ({ data }) => reply(id, { type: "message", data }, false);
    socket.onclose = ({ code: closeCode, reason }) => reply(id, { type: "close", code: closeCode, reason });
    socket.onerror = () => reply(id, { type: "error" }, false);
  },
  send: (_, id, data) => sockets.get(id).send(data),
  close: (_, id, closeCode, reason) => sockets.get(id).close(closeCode, reason),
};

createInterface({ input: hermes.stdout }).on("line", (line) => {
  if (!line.startsWith(FRAME)) return line.startsWith("Uncaught") ? console.error(line) : undefined;
  const frame = JSON.parse(line.slice(1));
  if (frame.native) return native[frame.native](frame.id, ...frame.args);
  return process.stdout.write(`${JSON.stringify(frame)}\n`);
});
run(`eval(${JSON.stringify(code)})`);
for await (const line of createInterface({ input: process.stdin })) run(`fromHost(${line})`);
hermes.kill();
process.exit(0);
