/** Links in texts: what becomes one, what does not, and that hostile texts take no longer than others. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { piecesOf } from "../../web/text.js";

const linksOf = (text) => piecesOf(text).filter(({ href }) => href).map((piece) => piece.text);

const cases = {
  "no link at all": [],
  "see https://example.com/a?b=c#d now": ["https://example.com/a?b=c#d"],
  "HTTP://EXAMPLE.COM": ["HTTP://EXAMPLE.COM"],
  "(https://example.com/a).": ["https://example.com/a"],
  "https://en.wikipedia.org/wiki/Rust_(language)": ["https://en.wikipedia.org/wiki/Rust_(language)"],
  "(https://en.wikipedia.org/wiki/Rust_(language))": ["https://en.wikipedia.org/wiki/Rust_(language)"],
  "«https://пример.рф/путь»": ["https://пример.рф/путь"],
  "https://a.example,https://b.example": ["https://a.example,https://b.example"],
  "http://a.example http://b.example\nhttp://c.example": ["http://a.example", "http://b.example", "http://c.example"],
  "<https://example.com>": ["https://example.com"],
  "https://example.com/\u202Egpj.exe": ["https://example.com/"],
  "http://[::1]:8000/x": ["http://[::1]:8000/x"],
  "https://": [],
  "http://[": [],
  "https://bank.example@evil.example/": [],
  "javascript:alert(1) data:text/html,x ftp://example.com www.example.com": [],
  "xhttps://example.com": [],
};

for (const [text, links] of Object.entries(cases)) {
  test(`links of ${JSON.stringify(text)}`, () => assert.deepEqual(linksOf(text), links));
}

test("the pieces of a text are the text, in order", () => {
  for (const text of [...Object.keys(cases), "", "a https://b.example/c, d"]) {
    assert.equal(piecesOf(text).map((piece) => piece.text).join(""), text);
  }
});

test("a long text takes about as long as the same amount of short ones", () => {
  const hostile = ["http://", "http://a)", "http://a.example/((((", "http://[", "https://x@y ", "http://a.example/))))....", "h", "!"];
  const timeOf = (text, times) => {
    const start = process.cpuUsage(); // the time of other processes does not count
    for (let n = 0; n < times; n += 1) piecesOf(text);
    return process.cpuUsage(start).user / 1000;
  };
  for (const part of hostile) {
    const [short, long] = [4_000, 64_000].map((length) => part.repeat(length / part.length));
    const times = Array.from({ length: 5 }, () => [timeOf(short, 80), timeOf(long, 5)]); // in turns: both meet what else is going on
    const [ofShort, ofLong] = [0, 1].map((which) => Math.min(...times.map((pair) => pair[which])));
    assert.ok(ofLong < 4 * ofShort + 5, part); // a quadratic one takes 16 times as long
  }
});
