import assert from "node:assert/strict";
import { test } from "node:test";

import { Timeline } from "../../web/timeline.js";
import { message } from "./fake_socket.mjs";

const ids = (timeline) => timeline.entries.map(({ id }) => id);

function timelineOf(...page) {
  const timeline = new Timeline();
  timeline.lastSeq = page.at(-1)?.seq ?? 0;
  timeline.prepend(page);
  return timeline;
}

test("messages stand in the order of their seq, whichever came first", () => {
  const timeline = timelineOf(message(4, 4));
  timeline.apply(message(5, 5));
  timeline.prepend([message(2, 2), message(3, 3)]);
  assert.deepEqual(ids(timeline), [2, 3, 4, 5]);
});

test("an event that was seen before changes nothing", () => {
  const timeline = timelineOf(message(1, 1));
  timeline.apply(message(2, 2));
  timeline.apply(message(2, 2, { text: "again" }));
  timeline.apply(message(1, 1));
  assert.deepEqual(ids(timeline), [1, 2]);
  assert.equal(timeline.entries[1].text, "text 2");
  assert.equal(timeline.lastSeq, 2);
});

test("an edit changes the message where it stands", () => {
  const timeline = timelineOf(message(1, 1), message(2, 2));
  timeline.apply(message(1, 3, { text: "mended", is_edited: true }));
  assert.deepEqual(ids(timeline), [1, 2]);
  assert.equal(timeline.entries[0].text, "mended");
  assert.equal(timeline.entries[0].isEdited, true);
  assert.equal(timeline.lastSeq, 3);
});

test("a deletion leaves a mark without a text", () => {
  const timeline = timelineOf(message(1, 1));
  timeline.apply(message(1, 2, { text: "", is_deleted: true }));
  assert.deepEqual([timeline.entries[0].text, timeline.entries[0].isDeleted], ["", true]);
});

test("a replayed message that was edited meanwhile stands where it was created", () => {
  const timeline = timelineOf(message(1, 1));
  timeline.apply(message(2, 2, { text: "mended", is_edited: true }));
  timeline.apply(message(3, 3));
  timeline.apply(message(2, 4, { text: "mended", is_edited: true }));
  assert.deepEqual(ids(timeline), [1, 2, 3]);
});

test("an edit of a message that is not loaded is not shown until history gives its place", () => {
  const timeline = timelineOf(message(50, 50), message(51, 51));
  timeline.apply(message(3, 52, { text: "mended", is_edited: true }));
  assert.deepEqual(ids(timeline), [50, 51]);
  timeline.prepend([message(2, 2), message(3, 3), message(4, 4)]); // read before the edit was committed
  assert.deepEqual(ids(timeline), [2, 3, 4, 50, 51]);
  assert.equal(timeline.entries[1].text, "mended");
});

test("history does not take back what a later event said", () => {
  const timeline = timelineOf(message(1, 1));
  timeline.apply(message(1, 2, { text: "mended", is_edited: true }));
  timeline.prepend([message(1, 1, { text: "old" })]);
  assert.deepEqual([timeline.entries.length, timeline.entries[0].text], [1, "mended"]);
});

test("the beginning is reached with seq 1, or with an empty page", () => {
  assert.equal(timelineOf(message(5, 5)).complete, false);
  assert.equal(timelineOf(message(1, 1)).complete, true);
  assert.equal(timelineOf().complete, true);
});

test("an own message keeps its entry from sending to acknowledgement, and stands after all others meanwhile", () => {
  const timeline = timelineOf(message(1, 1));
  const entry = timeline.expect("mine", { id: 1 }, "c", "2024-01-01T00:00:00Z");
  timeline.apply(message(2, 2));
  assert.deepEqual(timeline.all.at(-1), entry);
  const data = message(3, 3, { text: "mine", client_msg_id: "c" });
  timeline.acknowledge(entry, data);
  timeline.apply(data);
  assert.equal(timeline.pending.length, 0);
  assert.equal(timeline.entries[2], entry);
  assert.deepEqual([entry.id, entry.seq], [3, 3]);
});

test("a message that is new before any history has come is shown", () => {
  const timeline = new Timeline();
  timeline.apply(message(9, 9));
  assert.deepEqual(ids(timeline), [9]);
});

test("a repeated answer does not take back what a later event said", () => {
  const timeline = timelineOf(message(1, 1));
  timeline.apply(message(1, 2, { text: "mended", is_edited: true }));
  timeline.apply(message(1, 1, { text: "old" }), { duplicate: true });
  assert.equal(timeline.entries[0].text, "mended");
});

test("a repeated answer moves no position, so that the replay behind it is still taken", () => {
  const timeline = timelineOf(message(1, 1));
  timeline.apply(message(3, 3), { duplicate: true });
  assert.equal(timeline.lastSeq, 1);
  timeline.apply(message(2, 2));
  timeline.apply(message(3, 3));
  assert.deepEqual([ids(timeline), timeline.lastSeq], [[1, 2, 3], 3]);
});
