import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { fullJitter, textProblem } from "../../web/chat.js";
import { BOB, FakeSocket, ME, echo, liveChat, message, newChat, textsOf } from "./fake_socket.mjs";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2024, 0, 1) });
});

test("a token goes in the subprotocol, and without one the cookie must do", () => {
  newChat({ token: "t.o.k" }).open();
  assert.deepEqual(FakeSocket.last.protocols, ["bearer", "t.o.k"]);
  newChat().open();
  assert.deepEqual(FakeSocket.last.protocols, []);
});

test("a first connection asks for the newest history, says who serves it and asks who is there", () => {
  const chat = newChat();
  chat.open();
  assert.equal(FakeSocket.last.url, "ws://host/ws/chat/7/");
  FakeSocket.last.establish(120);
  assert.deepEqual([chat.state, chat.node], ["live", "node-a"]);
  assert.deepEqual(FakeSocket.last.sent, [{ type: "history", limit: 50 }, { type: "presence" }]);
});

test("a base with a path is kept, with or without a slash at its end", () => {
  for (const base of ["https://host/chat", "https://host/chat/"]) {
    newChat({ base }).open();
    assert.equal(FakeSocket.last.url, "wss://host/chat/ws/chat/7/");
  }
});

test("a message is shown at once and is settled by the server's own copy", () => {
  const chat = liveChat();
  chat.send("hello");
  assert.deepEqual(textsOf(chat), ["hello"]);
  assert.equal(chat.timeline.all[0].id, null);
  const [frame] = FakeSocket.last.sentOf("message");
  FakeSocket.last.say(echo(frame, 10, 1));
  assert.deepEqual([chat.timeline.all.length, chat.timeline.all[0].id, chat.isSending], [1, 10, false]);
});

test("somebody else's copy with the same client_msg_id settles nothing", () => {
  const chat = liveChat();
  chat.send("hello");
  const [frame] = FakeSocket.last.sentOf("message");
  const foreign = echo(frame, 10, 1);
  foreign.data.sender = BOB;
  FakeSocket.last.say(foreign);
  assert.equal(chat.isSending, true);
});

test("the next command waits for the answer to the one before", () => {
  const chat = liveChat();
  chat.send("one");
  chat.send("two");
  const socket = FakeSocket.last;
  assert.deepEqual(socket.sentOf("message").map(({ text }) => text), ["one"]);
  socket.say(echo(socket.sentOf("message")[0], 1, 1));
  assert.deepEqual(socket.sentOf("message").map(({ text }) => text), ["one", "two"]);
});

test("a reconnect resumes after the last seq and sends again, in order and under the same ids", () => {
  const chat = liveChat([message(1, 1)]);
  const first = FakeSocket.last;
  chat.send("one");
  chat.send("two");
  first.drop();
  mock.timers.tick(250);
  const second = FakeSocket.last;
  assert.notEqual(second, first);
  assert.equal(second.url, "ws://host/ws/chat/7/?since=e1%3A1");
  second.establish(2);
  const [retried] = second.sentOf("message");
  assert.deepEqual(retried, first.sentOf("message")[0]);
  second.say({ ...echo(retried, 2, 2), duplicate: true });
  const [, next] = second.sentOf("message");
  assert.equal(next.text, "two");
  second.say(echo(retried, 2, 2)); // the replay brings it as well
  second.say(echo(next, 3, 3));
  assert.deepEqual(textsOf(chat), ["text 1", "one", "two"]);
  assert.deepEqual([chat.isSending, chat.timeline.lastSeq], [false, 3]);
});

test("a replay settles what had been stored before the link broke", () => {
  const chat = liveChat();
  chat.send("one");
  const [frame] = FakeSocket.last.sentOf("message");
  FakeSocket.last.drop();
  mock.timers.tick(250);
  FakeSocket.last.establish(1);
  FakeSocket.last.say(echo(frame, 1, 1));
  FakeSocket.last.say({ ...echo(frame, 1, 1), duplicate: true });
  assert.deepEqual([textsOf(chat), chat.isSending], [["one"], false]);
});

test("an event that comes twice is shown once", () => {
  const chat = liveChat([message(1, 1)]);
  FakeSocket.last.say({ type: "message", data: message(2, 2) });
  FakeSocket.last.say({ type: "message", data: message(2, 2) });
  assert.deepEqual(textsOf(chat), ["text 1", "text 2"]);
});

test("a full minute holds a message back as long as the server says, and it goes out under the same id", () => {
  const chat = liveChat();
  chat.send("eleventh");
  const socket = FakeSocket.last;
  socket.say({ type: "error", code: "rate_limited", message: "Too fast", retry_after_s: 3 });
  mock.timers.tick(2999);
  chat.send("twelfth");
  assert.deepEqual(chat.held, { message: "Too fast", until: Date.now() + 1 });
  assert.equal(socket.sentOf("message").length, 1);
  mock.timers.tick(1);
  const [first, second] = socket.sentOf("message");
  assert.deepEqual(second, first);
  assert.equal(chat.held, null);
});

test("a refused message says why, and does not hold up the next", () => {
  const chat = liveChat();
  const problems = [];
  chat.addEventListener("problem", ({ detail }) => problems.push(detail));
  chat.send("bad");
  chat.send("good");
  const socket = FakeSocket.last;
  socket.say({ type: "error", code: "invalid_text", message: "Not storable" });
  assert.equal(chat.timeline.pending[0].failure, "Not storable");
  assert.deepEqual(problems, [{ code: "invalid_text", message: "Not storable" }]);
  assert.deepEqual(socket.sentOf("message").map(({ text }) => text), ["bad", "good"]);
});

test("edits and deletions name the message and are settled like messages", () => {
  const chat = liveChat([message(1, 1, { sender: ME })]);
  const [entry] = chat.timeline.entries;
  chat.edit(entry, "mended");
  chat.delete(entry);
  const socket = FakeSocket.last;
  const [edit] = socket.sentOf("edit_message");
  assert.deepEqual([edit.id, edit.text], [1, "mended"]);
  socket.say({ type: "message", data: message(1, 2, { sender: ME, text: "mended", is_edited: true, client_msg_id: edit.client_msg_id }) });
  assert.deepEqual(textsOf(chat), ["mended"]);
  const [deletion] = socket.sentOf("delete_message");
  assert.equal(deletion.id, 1);
});

test("waits grow to a bound, and every wait is a random part of it", () => {
  const bounds = [0, 1, 2, 5, 6, 60].map((attempt) => fullJitter(attempt, () => 1));
  assert.deepEqual(bounds, [500, 1000, 2000, 16000, 20000, 20000]);
  assert.equal(fullJitter(3, () => 0), 0);
  assert.equal(fullJitter(3, () => 0.25), 1000);
});

test("each failed try waits longer; a connection that lasted starts anew", () => {
  const chat = newChat();
  chat.open();
  const waits = () => chat.retryAt - Date.now();
  const seen = [];
  for (let attempt = 0; attempt < 3; attempt += 1) {
    FakeSocket.last.drop();
    seen.push(waits());
    mock.timers.tick(waits());
  }
  assert.deepEqual(seen, [250, 500, 1000]);
  FakeSocket.last.establish();
  mock.timers.tick(5000);
  FakeSocket.last.drop();
  assert.equal(waits(), 250);
});

test("a draining replica's hint is kept, with jitter on top", () => {
  const chat = liveChat();
  FakeSocket.last.drop(4000, '{"retry_after_ms":1500}');
  assert.deepEqual([chat.state, chat.retryAt - Date.now()], ["waiting", 1750]);
});

for (const code of [4401, 4403, 4409, 4410, 4429, 4999]) {
  test(`code ${code} ends it with a sentence and without another try`, () => {
    const chat = liveChat();
    FakeSocket.last.drop(code);
    mock.timers.tick(60_000);
    assert.deepEqual([chat.state, chat.closeCode, FakeSocket.all.length], ["closed", code, 1]);
    assert.match(chat.reason, /^[A-Z].*\.$/);
  });
}

test("a close with 4429 says that too much was sent or refused", () => {
  const chat = liveChat();
  FakeSocket.last.drop(4429);
  assert.equal(chat.reason, "Too many requests were sent or refused. Please wait a minute before you come back.");
});

test("a closed chat can be opened again, and resumes", () => {
  const chat = liveChat([message(1, 1)]);
  FakeSocket.last.drop(4409);
  chat.open();
  assert.equal(FakeSocket.last.url, "ws://host/ws/chat/7/?since=e1%3A1");
});

test("a link that does not answer is given up", () => {
  const chat = liveChat();
  const socket = FakeSocket.last;
  mock.timers.tick(25_000);
  assert.equal(socket.sentOf("ping").length, 1);
  mock.timers.tick(10_000);
  assert.deepEqual([chat.state, socket.isClosed], ["waiting", true]);
});

test("a link that answers is kept", () => {
  const chat = liveChat();
  mock.timers.tick(25_000);
  FakeSocket.last.say({ type: "pong" });
  mock.timers.tick(10_000);
  assert.equal(chat.state, "live");
});

test("what a forgotten socket still says is not heard", () => {
  const chat = liveChat();
  const old = FakeSocket.last;
  old.drop();
  mock.timers.tick(250);
  old.say({ type: "message", data: message(1, 1) });
  old.drop(4403);
  assert.deepEqual([textsOf(chat), chat.state], [[], "connecting"]);
});

test("leaving waits until everything sent is answered", () => {
  const chat = liveChat();
  chat.send("last words");
  const socket = FakeSocket.last;
  chat.leave();
  assert.equal(chat.state, "live");
  socket.say(echo(socket.sentOf("message")[0], 1, 1));
  assert.deepEqual([chat.state, socket.isClosed], ["idle", true]);
});

test("typing is sent at most every two seconds, and its end once", () => {
  const chat = liveChat();
  const sentTyping = () => FakeSocket.last.sentOf("typing").map((frame) => frame.is_typing);
  chat.setTyping(true);
  mock.timers.tick(1000);
  chat.setTyping(true);
  assert.deepEqual(sentTyping(), [true]);
  mock.timers.tick(1000);
  chat.setTyping(true);
  assert.deepEqual(sentTyping(), [true, true]);
  mock.timers.tick(3000);
  assert.deepEqual(sentTyping(), [true, true, false]);
  chat.setTyping(false);
  assert.deepEqual(sentTyping(), [true, true, false]);
});

test("a typist is forgotten at their message, at their stop, and after a while", () => {
  const chat = liveChat();
  const typing = (isTyping) => FakeSocket.last.say({ type: "typing", user_id: 2, username: "bob", is_typing: isTyping });
  typing(true);
  assert.deepEqual([...chat.typists.values()], ["bob"]);
  FakeSocket.last.say({ type: "message", data: message(1, 1) });
  assert.equal(chat.typists.size, 0);
  typing(true);
  typing(false);
  assert.equal(chat.typists.size, 0);
  typing(true);
  mock.timers.tick(6000);
  assert.equal(chat.typists.size, 0);
});

test("a read position is sent once, and never before there is one", () => {
  const chat = liveChat([message(1, 1)]);
  chat.markRead();
  chat.markRead();
  assert.deepEqual(FakeSocket.last.sentOf("read_messages"), [{ type: "read_messages", seq: 1 }]);
});

test("a read position never goes back", () => {
  const chat = liveChat([message(1, 1, { sender: ME }), message(2, 2, { sender: ME })]);
  FakeSocket.last.say({ type: "messages_read", user_id: 2, username: "bob", seq: 2 });
  chat.takeReadPositions([{ user_id: 2, read_seq: 1 }]);
  assert.deepEqual(chat.timeline.entries.map((entry) => chat.hasRead(2, entry)), [true, true]);
});

test("presence follows joins and leaves", () => {
  const chat = liveChat();
  const socket = FakeSocket.last;
  socket.say({ type: "presence_state", members: [{ user_id: 1, username: "alice" }] });
  socket.say({ type: "presence", user_id: 2, username: "bob", status: "join" });
  assert.deepEqual([...chat.presence.members.values()], ["alice", "bob"]);
  socket.say({ type: "presence", user_id: 2, username: "bob", status: "leave" });
  assert.deepEqual([chat.presence.members.size, chat.presence.count], [1, 1]);
  socket.say({ type: "presence_count", count: 51 });
  assert.equal(chat.presence.count, 51);
});

test("older pages are asked for one at a time, until the beginning", () => {
  const chat = liveChat([message(51, 51)]);
  const asked = () => FakeSocket.last.sentOf("history").slice(1);
  chat.loadOlder();
  chat.loadOlder();
  assert.deepEqual(asked(), [{ type: "history", before_seq: 51, limit: 50 }]);
  FakeSocket.last.say({ type: "history", messages: [message(1, 1), message(2, 2)], last_seq: 51 });
  chat.loadOlder();
  assert.equal(asked().length, 1);
});

test("a reset begins the history anew and keeps what is not sent", () => {
  const chat = liveChat([message(1, 1), message(2, 2)]);
  chat.send("unsent");
  FakeSocket.last.say({ type: "reset", last_seq: 1 });
  assert.deepEqual([textsOf(chat), chat.timeline.lastSeq], [["unsent"], 1]);
  FakeSocket.last.say({ type: "history", messages: [message(1, 1)], last_seq: 1 });
  assert.deepEqual(textsOf(chat), ["text 1", "unsent"]);
});

test("a text is measured in code points", () => {
  assert.equal(textProblem("😀".repeat(1000), 1000), null);
  assert.match(textProblem("😀".repeat(1001), 1000), /at most 1000/);
  assert.match(textProblem(" \n", 1000), /empty/);
});
