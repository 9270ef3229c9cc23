/** Parts of the JavaScript client that need no server: what it holds of a chat, keeps for a user, and takes as a token. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../../../clients/js/index.js";
import { EventStream } from "../../../clients/js/src/event_stream.js";
import { Outboxes } from "../../../clients/js/src/storage.js";
import { Timeline } from "../../../clients/js/src/timeline.js";
import { Tokens } from "../../../clients/js/src/tokens.js";

const HELD = 1_000;
const sender = { id: 1, username: "ann" };
const message = (seq, more = {}) => ({ id: 5000 + seq, seq, text: `No ${seq}`, sender, timestamp: "2026-11-28T10:30:00Z", ...more });
const pageBefore = (seq, length = 50) => Array.from({ length }, (_, index) => message(seq - length + index)).filter((one) => one.seq > 0);
const seqs = ({ messages }) => messages.map(({ seq }) => seq);
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

function received(last) {
  const timeline = new Timeline();
  for (const seq of range(1, last)) timeline.apply(message(seq), false);
  return timeline;
}

test("an open chat keeps its newest messages, and pages bring back the others", () => {
  const timeline = received(2_500);
  assert.deepEqual(seqs(timeline), range(1_501, 2_500));
  assert.equal(timeline.isComplete, false);

  timeline.isLoading = true;
  const page = pageBefore(timeline.firstSeq);
  for (const seq of range(2_501, 2_520)) timeline.apply(message(seq), false); // while the page is on its way
  timeline.prepend(page);
  timeline.isLoading = false;
  assert.deepEqual(seqs(timeline), range(1_451, 2_520));
  for (const seq of range(2_521, 3_520)) timeline.apply(message(seq), false);
  assert.deepEqual(seqs(timeline), range(1_451, 3_520)); // the page is still there for who reads it
  for (const seq of range(3_521, 9_000)) timeline.apply(message(seq), false);
  assert.deepEqual(seqs(timeline), range(9_001 - 2_070, 9_000));

  timeline.shrink();
  assert.deepEqual(seqs(timeline), range(8_001, 9_000));
});

test("a position of an earlier process is continued, with or without its epoch", () => {
  for (const [position, epoch] of [["9", null], ["5f:9", "5f"], ["a:b:9", "a:b"]]) {
    const timeline = new Timeline();
    timeline.position = position;
    assert.deepEqual([timeline.epoch, timeline.lastSeq, timeline.position], [epoch, 9, position]);
  }
  const timeline = new Timeline();
  timeline.position = 0; // a seq
  assert.deepEqual([timeline.epoch, timeline.lastSeq], [null, 0]);
});

test("what happens to a message that was dropped shows in its page only", () => {
  const timeline = received(2_500);
  assert.equal(timeline.apply(message(2_501, { id: 5_100, text: "edited", is_edited: true }), false), true);
  timeline.react({ message_id: 5_101, key: "👍", removed: false, counts: { "👍": 1 }, seq: 2_502 }, false);
  assert.deepEqual(seqs(timeline), range(1_501, 2_500));
  while (timeline.firstSeq > 1) timeline.prepend(pageBefore(timeline.firstSeq));
  assert.deepEqual(seqs(timeline), range(1, 2_500));
  assert.equal(timeline.messages[99].text, "edited");
});

test("edits of messages that are not loaded are bounded, the latest remain", () => {
  const timeline = received(HELD + 3_000);
  for (const seq of range(1, 2_500)) {
    timeline.apply(message(10_000 + seq, { id: 5_000 + seq, text: "edited", is_edited: true }), false);
  }
  assert.equal(timeline.messages.length, HELD);
  assert.equal(range(1, 2_500).filter((seq) => timeline.get(5_000 + seq)).length, HELD);
  assert.equal(timeline.get(5_000 + 2_500).text, "edited");
});

test("two users of one browser keep what they have not sent apart, under one client_msg_id too", async () => {
  const kept = new Map();
  const careless = {
    all: async () => [...kept.values()], // of all users
    put: async (item) => void kept.set(item.key, item),
    delete: async (key) => void kept.delete(key),
  };
  const outboxOf = async (user) => {
    const found = [];
    const outboxes = new Outboxes(careless, undefined);
    await outboxes.start(user, (items) => found.push(...items));
    await new Promise(setImmediate);
    return { outboxes, found };
  };
  const ann = await outboxOf("https://chat.example.com 1 ann");
  const bob = await outboxOf("https://chat.example.com 2 bob");
  const command = { type: "message", chat_id: 7, text: "I am Ann", client_msg_id: "draft" };
  ann.outboxes.save(ann.outboxes.item(command, null));
  const bobs = bob.outboxes.item({ ...command, text: "I am Bob" }, null);
  bob.outboxes.save(bobs);
  bob.outboxes.remove(bobs);

  const textsOf = async (user) => (await outboxOf(user)).found.map(({ frame }) => frame.text);
  assert.deepEqual(await textsOf("https://chat.example.com 2 bob"), []);
  assert.deepEqual(await textsOf("https://other.example.com 1 ann"), []);
  assert.deepEqual(await textsOf("https://chat.example.com 1 ann"), ["I am Ann"]);
});

test("a client takes no token of another user", async () => {
  const tokenOf = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2lnbg`;
  const given = [tokenOf({ iss: "shop", sub: "annÿ?" }), "not a token", tokenOf({ iss: "shop", sub: "annÿ?", exp: 2 })];
  given.push(tokenOf({ iss: "shop", sub: "bob" }), tokenOf({ iss: "other", sub: "annÿ?" }), given[0]);
  const tokens = new Tokens(() => given.shift());
  for (const _ of range(1, 3)) await tokens.get("connect");
  const { current } = tokens;
  for (const _ of range(1, 2)) await assert.rejects(tokens.get("expiring"), { name: "Disconnected", code: 4401 });
  assert.equal(tokens.current, current);
  await tokens.get("rejected");
  assert.notEqual(tokens.current, current);
});

test("a message keeps its client_msg_id when an edit or a deletion brings that of the command", () => {
  const timeline = new Timeline();
  timeline.apply(message(1, { client_msg_id: "of the message" }), false);
  timeline.apply(message(2, { id: 5_001, text: "edited", is_edited: true, client_msg_id: "of the edit" }), false);
  assert.deepEqual(timeline.messages.map((one) => [one.text, one.client_msg_id]), [["edited", "of the message"]]);
});

test("a stream whose greeting is refused is lost, since nothing else would greet the client", async () => {
  const fetch = (method, path, { stop }) => {
    if (method === "POST") return Promise.resolve(new Response('{"code":"unavailable"}', { status: 503 }));
    return new Promise((_, reject) => stop.signal.addEventListener("abort", () => reject(new Error("stopped"))));
  };
  const received = [];
  const closes = await new Promise((resolve) => {
    const stream = new EventStream({
      clientId: "js",
      http: { fetch },
      token: "t",
      positionOf: () => null,
      opened: () => stream.send({ type: "hello", id: 0 }),
      receive: (frame) => {
        received.push(frame);
        stream.close();
        resolve([]);
      },
      closed: (...how) => resolve(how),
    });
  });
  assert.deepEqual([closes, received], [[1006, ""], []]);
});

/** A connection on which the test is the gateway. */
class Wire {
  static last;
  readyState = 1;
  sent = [];

  constructor() {
    Wire.last = this;
    queueMicrotask(() => this.onopen());
  }

  send(text) {
    const frame = JSON.parse(text);
    this.sent.push(frame);
    if (frame.type === "hello") this.bring({ type: "hello", id: frame.id, user_id: 1, authenticated: true, node: "n", max_text_length: 9 });
  }

  bring(frame) {
    queueMicrotask(() => this.onmessage({ data: JSON.stringify(frame) }));
  }

  close() {
    this.readyState = 3;
  }

  /** The next subscribe command. */
  static async subscribed() {
    for (;;) {
      const sent = Wire.last?.sent ?? [];
      const index = sent.findIndex(({ type }) => type === "subscribe");
      if (index >= 0) return sent.splice(index, 1)[0];
      await new Promise(setImmediate);
    }
  }
}

test("a subscription that is confirmed after the user was removed, or has left, opens no chat", async () => {
  const refuse = () => Promise.reject(new Error("there is no server"));
  const client = new Client("http://nowhere", { token: "t", WebSocket: Wire, fetch: refuse, storage: null });
  const chat = client.chat(5);
  const confirmed = ({ id }) => ({ type: "ack", id, chat_id: 5, result: { last_seq: 0, epoch: "e" } });
  const brought = () => new Promise(setImmediate);
  try {
    let close = chat.open();
    const pending = await Wire.subscribed();
    Wire.last.bring({ type: "chat_removed", chat_id: 5 });
    Wire.last.bring(confirmed(pending));
    await brought();
    assert.deepEqual([chat.state, chat.error.code], ["closed", "forbidden"]);

    Wire.last.bring({ type: "chat_added", chat_id: 5 });
    Wire.last.bring(confirmed(await Wire.subscribed()));
    await brought();
    assert.deepEqual([chat.state, chat.error], ["live", null]);

    close();
    close = chat.open();
    const late = await Wire.subscribed();
    close();
    Wire.last.bring(confirmed(late));
    await brought();
    assert.equal(chat.state, "idle");
  } finally {
    client.close();
  }
});

/** What a client of a gateway that is down does, until it has tried this many times to reach it. */
async function attemptsOf({ count, token = () => "t" }) {
  const log = [];
  const WebSocket = class {
    constructor() {
      log.push("handshake");
      setTimeout(() => this.onclose({ code: 1006, reason: "" }));
    }
    close() {}
  };
  const fetch = async (_, { method }) => {
    if (method === "POST") log.push("stream");
    throw new TypeError("no network");
  };
  const random = () => {
    log.push("delay");
    return 0;
  };
  const client = new Client("http://none", { token: async () => token(log), WebSocket, fetch, random, storage: null });
  while (log.filter((what) => what !== "delay").length < count) await new Promise((resolve) => setTimeout(resolve));
  client.close();
  return log;
}

test("a stream is tried right after the handshake before it, and one handshake after each stream", async () => {
  const pair = ["delay", "handshake", "stream"];
  const log = await attemptsOf({ count: 7 });
  assert.deepEqual(log.slice(0, 10), ["handshake", ...pair, ...pair, ...pair]);
});

test("a token that cannot be had delays the next attempt, also before a stream", async () => {
  const token = (log) => {
    log.push("token");
    if (log.filter((what) => what === "handshake").length === 2) throw new Error("no network");
    return "t";
  };
  const log = await attemptsOf({ count: 9, token });
  assert.deepEqual(log.slice(log.lastIndexOf("handshake") + 1).slice(0, 5), ["token", "delay", "token", "delay", "token"]);
});
