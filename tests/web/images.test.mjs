/** Which links of a text are images that may be shown. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { imagesIn } from "../../web/images.js";
import { piecesOf } from "../../web/text.js";

const OURS = "https://images.example";
const imagesOf = (text, allowed = [OURS]) => imagesIn(piecesOf(text), allowed);

const cases = {
  [`see ${OURS}/a.png, and ${OURS}/b/c.JPEG?width=9`]: [`${OURS}/a.png`, `${OURS}/b/c.JPEG?width=9`],
  [`${OURS}/a.png ${OURS}/a.png`]: [`${OURS}/a.png`],
  [`${OURS}/page.html ${OURS}/a.svg ${OURS}/x?file=a.png ${OURS}/#a.png`]: [],
  "https://images.example.evil.example/a.png http://images.example/a.png https://images.example:444/a.png": [],
  "https://images.example@evil.example/a.png data:image/png,x /a.png": [],
  [`${[1, 2, 3, 4, 5].map((n) => `${OURS}/${n}.gif`).join(" ")}`]: [1, 2, 3, 4].map((n) => `${OURS}/${n}.gif`),
};

for (const [text, urls] of Object.entries(cases)) {
  test(`images of ${JSON.stringify(text)}`, () => assert.deepEqual(imagesOf(text), urls));
}

test("every https origin can be allowed, but no other scheme", () => {
  assert.deepEqual(imagesOf("https://any.example/a.webp http://any.example/a.webp", ["https:"]), ["https://any.example/a.webp"]);
});

test("none are allowed without sources", () => assert.deepEqual(imagesOf(`${OURS}/a.png`, []), []));
