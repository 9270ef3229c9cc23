/** Positions of one history mean nothing in another (docs/delivery.md, "What a client library does", rules 3 and 4). */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { FakeSocket, FakeStorage, ME, liveChat, message, newChat, textsOf } from "./fake_socket.mjs";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2024, 0, 1) });
});

const reset = (lastSeq, epoch = "e2") => FakeSocket.last.say({ type: "reset", chat_id: 7, last_seq: lastSeq, epoch });
const sinceOf = () => new URL(FakeSocket.last.url).searchParams.get("since");

/** Loses the connection and comes back; the greeting is of `epoch`. */
function comeBack(lastSeq, epoch) {
  FakeSocket.last.drop();
  mock.timers.tick(250);
  FakeSocket.last.establish(lastSeq, { epoch });
}

test("a position is resumed in the history that it belongs to", () => {
  liveChat([message(1, 1)]);
  FakeSocket.last.drop();
  mock.timers.tick(250);
  assert.equal(sinceOf(), "e1:1");
});

test("after a reset the new history is loaded, and resumed in", () => {
  const chat = liveChat([message(1, 1), message(2, 2), message(3, 3)]);
  comeBack(2, "e2");
  reset(2);
  FakeSocket.last.say({ type: "history", messages: [message(1, 1), message(2, 2, { text: "another" })], last_seq: 2 });
  FakeSocket.last.say({ type: "message", data: message(3, 3, { text: "new" }) });
  assert.deepEqual(textsOf(chat), ["text 1", "another", "new"]);
  FakeSocket.last.drop();
  mock.timers.tick(500);
  assert.equal(sinceOf(), "e2:3");
});

test("a connection lost between greeting and reset comes back with the old position", () => {
  liveChat([message(1, 1), message(2, 2)]);
  comeBack(1, "e2");
  FakeSocket.last.drop();
  mock.timers.tick(500);
  assert.equal(sinceOf(), "e1:2");
});

test("a page that was requested before a reset is not shown", () => {
  const chat = liveChat([message(51, 51)]);
  chat.loadOlder();
  reset(1);
  FakeSocket.last.say({ type: "history", messages: [message(50, 50)], last_seq: 51 });
  assert.deepEqual(textsOf(chat), []);
  FakeSocket.last.say({ type: "history", messages: [message(1, 1)], last_seq: 1 });
  assert.deepEqual(textsOf(chat), ["text 1"]);
});

test("read positions of another history are forgotten, and one's own is given again", () => {
  const chat = liveChat([message(1, 1), message(2, 2)]);
  chat.markRead();
  FakeSocket.last.say({ type: "messages_read", user_id: 2, username: "bob", seq: 2 });
  reset(1);
  FakeSocket.last.say({ type: "history", messages: [message(1, 1, { sender: ME })], last_seq: 1 });
  assert.equal(chat.hasRead(2, chat.timeline.entries[0]), false);
  chat.markRead();
  assert.deepEqual(FakeSocket.last.sentOf("read_messages").map(({ seq }) => seq), [2, 1]);
});

test("an edit or deletion meant for another history is not sent, and a message is", () => {
  const storage = new FakeStorage();
  const chat = liveChat([message(1, 1, { sender: ME })], { storage });
  const problems = [];
  chat.addEventListener("problem", ({ detail }) => problems.push(detail.code));
  FakeSocket.last.drop();
  chat.edit(chat.timeline.entries[0], "edited");
  chat.delete(chat.timeline.entries[0]);
  chat.send("written");
  mock.timers.tick(250);
  FakeSocket.last.establish(0, { epoch: "e2" });
  reset(0);
  assert.deepEqual(FakeSocket.last.sent.map(({ type }) => type), ["presence", "message", "history"]);
  assert.deepEqual(chat.timeline.pending.map(({ text, failure }) => [text, Boolean(failure)]), [
    ["written", false],
    ["edited", true],
  ]);
  assert.deepEqual(problems, ["reset"]);
  assert.equal(newChat({ storage }).timeline.pending.length, 2);
});
