/** Whom a text mentions. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { mentionsIn } from "../../web/mentions.js";

const MEMBERS = [
  { user_id: 1, username: "ann" },
  { user_id: 2, username: "ann.lee" },
  { user_id: 3, username: "Борис" },
];

for (const [text, ids] of [
  ["hi @ann", [1]],
  ["@ANN, @борис!", [1, 3]],
  ["see @ann.lee.", [2]],
  ["(@ann) and @ann again", [1]],
  ["ann@example.com, bob@ann and @nobody @", []],
]) {
  test(`${text} → ${ids}`, () => assert.deepEqual(mentionsIn(text, MEMBERS), ids));
}
