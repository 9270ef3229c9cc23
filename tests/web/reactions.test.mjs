import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { BOB, FakeSocket, ME, liveChat, message } from "./fake_socket.mjs";

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.UTC(2024, 0, 1) });
});

function reaction(seq, counts, changes = {}) {
  return { type: "reaction", message_id: 1, key: "👍", user_id: BOB.id, removed: false, counts, seq, client_msg_id: `r${seq}`, ...changes };
}

const stateOf = (chat) => {
  const { reactions, ownReactions } = chat.timeline.entries[0];
  return [reactions, ownReactions];
};

test("history has the counts and the own reactions", () => {
  const chat = liveChat([message(1, 1, { reactions: { "👍": 2, "❤️": 1 }, own_reactions: ["👍"] })]);
  assert.deepEqual(stateOf(chat), [{ "👍": 2, "❤️": 1 }, ["👍"]]);
});

test("a reaction replaces the counts and moves the position", () => {
  const chat = liveChat([message(1, 1)]);
  FakeSocket.last.say(reaction(2, { "👍": 1 }));
  assert.deepEqual(stateOf(chat), [{ "👍": 1 }, []]);
  assert.equal(chat.timeline.lastSeq, 2);
  FakeSocket.last.say(reaction(2, { "👍": 7 }));
  assert.deepEqual(stateOf(chat)[0], { "👍": 1 }, "seen before");
});

test("an own reaction is sent as a command that its push settles", () => {
  const chat = liveChat([message(1, 1)]);
  const [entry] = chat.timeline.entries;
  chat.react(entry, "👍");
  const [frame] = FakeSocket.last.sentOf("react");
  assert.deepEqual({ ...frame, client_msg_id: "" }, { type: "react", message_id: 1, key: "👍", remove: false, client_msg_id: "" });
  FakeSocket.last.say(reaction(2, { "👍": 1 }, { user_id: ME.id, client_msg_id: frame.client_msg_id }));
  assert.deepEqual([...stateOf(chat), chat.isSending], [{ "👍": 1 }, ["👍"], false]);
  chat.react(entry, "👍");
  assert.equal(FakeSocket.last.sentOf("react")[1].remove, true);
  FakeSocket.last.say(reaction(3, {}, { user_id: ME.id, removed: true, client_msg_id: FakeSocket.last.sentOf("react")[1].client_msg_id }));
  assert.deepEqual(stateOf(chat), [{}, []]);
});

test("a response that nothing changed settles the command and shows the counts", () => {
  const chat = liveChat([message(1, 1)]);
  chat.react(chat.timeline.entries[0], "👍");
  FakeSocket.last.say(reaction(undefined, { "👍": 4 }, { user_id: ME.id, client_msg_id: undefined, duplicate: true }));
  assert.deepEqual([...stateOf(chat), chat.isSending, chat.timeline.lastSeq], [{ "👍": 4 }, ["👍"], false, 1]);
});

test("the response to a retry changes no counts: its event arrives in its place", () => {
  const chat = liveChat([message(1, 1)]);
  chat.react(chat.timeline.entries[0], "👍");
  const [{ client_msg_id: id }] = FakeSocket.last.sentOf("react");
  FakeSocket.last.say(reaction(2, { "👍": 9 }, { user_id: ME.id, client_msg_id: id, duplicate: true }));
  assert.deepEqual([...stateOf(chat), chat.isSending, chat.timeline.lastSeq], [{}, [], false, 1]);
});

test("a rejected reaction is a problem and leaves nothing behind", () => {
  const chat = liveChat([message(1, 1)]);
  const problems = [];
  chat.addEventListener("problem", ({ detail }) => problems.push(detail.code));
  chat.react(chat.timeline.entries[0], "👍");
  FakeSocket.last.say({ type: "error", code: "reaction_limit", message: "This message has too many reactions" });
  assert.deepEqual([problems, chat.hasUnsent, stateOf(chat)], [["reaction_limit"], false, [{}, []]]);
});

test("an edit keeps own reactions, and a deletion none", () => {
  const chat = liveChat([message(1, 1, { reactions: { "👍": 2 }, own_reactions: ["👍"] })]);
  FakeSocket.last.say({ type: "message", data: message(1, 2, { text: "new", is_edited: true, reactions: { "👍": 2 } }) });
  assert.deepEqual(stateOf(chat), [{ "👍": 2 }, ["👍"]]);
  FakeSocket.last.say({ type: "message", data: message(1, 3, { text: "", is_deleted: true }) });
  assert.deepEqual(stateOf(chat), [{}, []]);
});

test("a reaction of another history is rejected after a reset", () => {
  const chat = liveChat([message(1, 1)]);
  const first = FakeSocket.last;
  first.drop();
  chat.react(chat.timeline.entries[0], "👍");
  mock.timers.tick(30_000);
  FakeSocket.last.establish(0, { epoch: "e2" });
  assert.deepEqual(FakeSocket.last.sentOf("react"), []);
});
