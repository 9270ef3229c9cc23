/** The connection as a page or a Node program sees it: what a `change` shows, how a loss is noticed. */

import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { beforeEach, mock, test } from "node:test";

import { WebSocket } from "../node/node_modules/ws/wrapper.mjs";
import { FakeSocket, ME, liveChat, message, newChat } from "./fake_socket.mjs";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2024, 0, 1) });
});

/** What each `change` of `chat` shows from now on. */
function changesOf(chat) {
  const shown = [];
  chat.addEventListener("change", () => shown.push([chat.state, chat.closeCode, chat.reason !== null, chat.retryAt !== null]));
  return shown;
}

test("a change after a final close shows the state, the code and the reason", () => {
  const chat = liveChat();
  const shown = changesOf(chat);
  FakeSocket.last.drop(4401);
  assert.deepEqual(shown, [["closed", 4401, true, false]]);
});

test("a change after a loss shows when it is tried again, and the reason stays until it has worked", () => {
  const chat = liveChat();
  const shown = changesOf(chat);
  FakeSocket.last.drop();
  assert.deepEqual(shown, [["waiting", 1006, true, true]]);
  const lostAt = Date.now();
  mock.timers.tick(250);
  assert.deepEqual([chat.state, chat.reason, chat.lostAt], ["connecting", "The connection was lost.", lostAt]);
  FakeSocket.last.drop();
  assert.equal(chat.lostAt, lostAt);
  mock.timers.tick(500);
  FakeSocket.last.establish();
  assert.deepEqual([chat.state, chat.reason, chat.lostAt], ["live", null, null]);
});

test("a listener may reconnect at once, and no second connection follows", () => {
  const chat = liveChat();
  chat.addEventListener("change", () => chat.wake(), { once: true });
  FakeSocket.last.drop();
  mock.timers.tick(1000);
  assert.equal(FakeSocket.all.length, 2);
});

test("a probe gives the link as long as it says, and no more than was given before", () => {
  const chat = liveChat();
  chat.probe(2000);
  chat.probe(5000);
  mock.timers.tick(1999);
  assert.equal(chat.state, "live");
  mock.timers.tick(1);
  assert.equal(chat.state, "waiting");
});

test("the longest text is what the server says", () => {
  const chat = newChat();
  assert.equal(chat.maxText, 1000);
  chat.open();
  FakeSocket.last.establish(0, { max_text_length: 50 });
  assert.equal(chat.maxText, 50);
});

test("what another socket of the user has read is known, in either form", () => {
  const chat = liveChat([message(1, 1), message(2, 2)]);
  FakeSocket.last.say({ type: "messages_read", user_id: ME.id, username: "alice", seq: 1 });
  assert.equal(chat.readSeqs.get(ME.id), 1);
  FakeSocket.last.say({ type: "messages_read", data: { user_id: ME.id, seq: 2 } });
  assert.equal(chat.readSeqs.get(ME.id), 2);
});

test("with the package ws, a server that is away does not end the process", async () => {
  mock.timers.reset();
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  const chat = newChat({ WebSocket, base: `http://127.0.0.1:${port}` });
  const lost = new Promise((resolve) => chat.addEventListener("change", () => chat.state === "waiting" && resolve()));
  chat.open();
  await lost;
  assert.equal(chat.closeCode, 1006);
  chat.stop();
  chat.open();
  chat.stop(); // while it connects: `ws` says so by an error event
  await new Promise((resolve) => setTimeout(resolve, 50));
});

test("with the package ws, a rejected handshake is final as its close code would be", async () => {
  mock.timers.reset();
  const server = createHttpServer().listen(0, "127.0.0.1");
  const statuses = [503, 401];
  server.on("upgrade", (_, socket) => socket.end(`HTTP/1.1 ${statuses.shift()} No\r\nConnection: close\r\n\r\n`));
  await new Promise((resolve) => server.once("listening", resolve));
  const chat = newChat({ WebSocket, base: `http://127.0.0.1:${server.address().port}`, random: () => 0 });
  const codes = [];
  const closed = new Promise((resolve) => {
    chat.addEventListener("change", () => chat.closeCode && codes.push(chat.closeCode) && chat.state === "closed" && resolve());
  });
  chat.send("kept");
  chat.open();
  await closed;
  assert.deepEqual([codes, chat.isSending], [[1006, 4401], true]);
  server.close();
});
