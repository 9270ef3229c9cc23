/** What was sent and not answered: through an ended session, a reload, a rejection and a full outbox. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { hasUnsent } from "../../web/chat.js";
import { BOB, FakeSocket, FakeStorage, ME, echo, liveChat, message, newChat, textsOf } from "./fake_socket.mjs";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2024, 0, 1) });
});

const idsOf = (frames) => frames.map((frame) => frame.client_msg_id);

/** Writes two messages, the first of them under way, and ends the session. */
function expired(storage) {
  const chat = liveChat([], { token: "old", storage });
  chat.send("one");
  chat.send("two");
  const [first] = FakeSocket.last.sentOf("message");
  FakeSocket.last.drop(4401);
  return [chat, first];
}

/** Answers every message of the last socket, as the server would; returns what it received. */
function answerAll(seq = 1) {
  const socket = FakeSocket.last;
  for (let n = 0; n < socket.sentOf("message").length; n += 1) {
    const frame = socket.sentOf("message")[n];
    socket.say(echo(frame, seq + n, seq + n));
  }
  return socket.sentOf("message");
}

test("an ended session keeps its messages, and a new token sends them in order, once", () => {
  const [chat, first] = expired();
  assert.deepEqual([chat.state, textsOf(chat)], ["closed", ["one", "two"]]);
  chat.token = "new";
  chat.open();
  assert.deepEqual(FakeSocket.last.protocols, ["bearer", "new"]);
  FakeSocket.last.establish();
  const sent = answerAll();
  assert.deepEqual(sent.map(({ text }) => text), ["one", "two"]);
  assert.deepEqual(sent[0], first);
  assert.deepEqual([textsOf(chat), chat.isSending], [["one", "two"], false]);
});

test("the same user's next chat over the same storage sends them under the same ids", () => {
  const storage = new FakeStorage();
  const [, first] = expired(storage);
  assert.equal(hasUnsent(storage, ME, 7), true);
  const chat = newChat({ storage });
  assert.deepEqual(textsOf(chat), ["one", "two"]);
  chat.open();
  FakeSocket.last.establish();
  assert.deepEqual(idsOf(answerAll())[0], first.client_msg_id);
  assert.deepEqual([textsOf(chat), hasUnsent(storage, ME, 7)], [["one", "two"], false]);
});

test("another user neither sees nor sends them, not even one with the same id", () => {
  const storage = new FakeStorage();
  expired(storage);
  for (const me of [BOB, { id: ME.id, username: "zed" }]) {
    const chat = newChat({ storage, me });
    chat.open();
    FakeSocket.last.establish();
    assert.deepEqual([textsOf(chat), FakeSocket.last.sentOf("message"), chat.isSending], [[], [], false]);
    chat.send("mine");
    answerAll();
  }
  assert.equal(hasUnsent(storage, ME, 7), true);
});

test("messages of one chat stay in it", () => {
  const storage = new FakeStorage();
  expired(storage);
  assert.deepEqual(textsOf(newChat({ storage, chatId: 8 })), []);
});

test("what was stored before a reload is answered as a duplicate and shown once", () => {
  const storage = new FakeStorage();
  const [, first] = expired(storage);
  const chat = newChat({ storage });
  chat.open();
  FakeSocket.last.establish(1);
  const stored = echo(first, 1, 1);
  FakeSocket.last.say({ type: "history", messages: [stored.data], last_seq: 1 });
  FakeSocket.last.say({ ...stored, duplicate: true });
  assert.deepEqual(textsOf(chat), ["one", "two"]);
  assert.deepEqual(FakeSocket.last.sentOf("message").map(({ text }) => text), ["one", "two"]);
});

test("a duplicated window sends under the same ids", () => {
  const storage = new FakeStorage();
  expired(storage);
  const sent = [storage, storage.copy()].map((own) => {
    newChat({ storage: own }).open();
    FakeSocket.last.establish();
    return idsOf(answerAll());
  });
  assert.deepEqual(sent[0], sent[1]);
});

test("storage that holds something else is ignored", () => {
  const storage = new FakeStorage();
  expired(storage);
  for (const key of storage.values.keys()) storage.values.set(key, "{not json");
  assert.deepEqual([textsOf(newChat({ storage })), hasUnsent(storage, ME, 7)], [[], false]);
});

test("more than a hundred are not taken", () => {
  const chat = newChat();
  const problems = [];
  chat.addEventListener("problem", ({ detail }) => problems.push(detail.code));
  for (let n = 0; n < 100; n += 1) assert.equal(chat.send(`text ${n}`), true);
  assert.equal(chat.send("one more"), false);
  assert.deepEqual([problems, textsOf(chat).length], [["outbox_full"], 100]);
});

test("a rejected message keeps its text, also over a reload, until it is discarded", () => {
  const storage = new FakeStorage();
  const first = liveChat([], { storage });
  first.send("too long");
  FakeSocket.last.say({ type: "error", code: "text_too_long", message: "Too long" });
  const chat = newChat({ storage });
  const [entry] = chat.timeline.pending;
  assert.deepEqual([entry.text, entry.failure, chat.isSending, chat.hasUnsent], ["too long", "Too long", false, true]);
  chat.discard(entry);
  assert.deepEqual([textsOf(chat), chat.hasUnsent, storage.values.size], [[], false, 0]);
});

test("a message that is still to be sent cannot be discarded", () => {
  const chat = newChat();
  chat.send("waiting");
  chat.discard(chat.timeline.pending[0]);
  assert.deepEqual([textsOf(chat), chat.isSending], [["waiting"], true]);
});

test("a rejected edit keeps its text visible", () => {
  const chat = liveChat([message(1, 1, { sender: ME, text: "first" })]);
  chat.edit(chat.timeline.entries[0], "second");
  FakeSocket.last.say({ type: "error", code: "forbidden", message: "Not yours" });
  assert.deepEqual(textsOf(chat), ["first", "second"]);
  assert.equal(chat.timeline.pending[0].failure, "Not yours");
});

test("a removed member's messages are rejected, before and after", () => {
  const chat = liveChat();
  chat.send("before");
  FakeSocket.last.drop(4403);
  chat.send("after");
  assert.deepEqual(chat.timeline.pending.map(({ text, failure }) => [text, failure === chat.reason]), [
    ["before", true],
    ["after", true],
  ]);
  assert.equal(chat.isSending, false);
});

for (const code of [4408, 4409, 4410, 4429]) {
  test(`after ${code} the messages wait for the next opening`, () => {
    const chat = liveChat();
    chat.send("unsent");
    FakeSocket.last.drop(code);
    chat.send("written meanwhile");
    chat.open();
    FakeSocket.last.establish();
    assert.deepEqual(answerAll().map(({ text }) => text), ["unsent", "written meanwhile"]);
  });
}

test("a stopped chat keeps its messages for the next opening", () => {
  const chat = liveChat();
  chat.send("unsent");
  const socket = FakeSocket.last;
  chat.stop();
  assert.deepEqual([chat.state, socket.isClosed, chat.isSending], ["idle", true, true]);
});
