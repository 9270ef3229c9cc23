/** The Russian words of the page and of the operator's page: every sentence of their modules and HTML has one. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const web = new URL("../../web/", import.meta.url);
const NO_SENTENCE = /^(?:[a-z]+(?:[_-][a-z]+)+|live|\W+)$/;
const SAME = new Set(["Enter", "Shift Enter", "↑", "·", "@", "id", "admin"]);

Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages: ["de-DE", "ru-RU", "en"] } });
const { language } = await import("../../web/translator.js");
const page = await import("../../web/words.js");
const operators = await import("../../web/console/words.js");
const { t } = page;
const PAGES = [["", page.t], ["console/", operators.t]];

test("the first language that the page has is chosen", () => {
  assert.equal(language, "ru");
});

for (const [folder, translated] of PAGES) {
  test(`every sentence of the modules of ${folder || "the page"} is in the table`, () => {
    const missing = [];
    for (const name of readdirSync(new URL(folder || ".", web)).filter((one) => one.endsWith(".js") && one !== "words.js")) {
      const source = readFileSync(new URL(folder + name, web), "utf8");
      for (const call of source.matchAll(/\bt\(([^()]*(?:\([^()]*\)[^()]*)*)\)/g)) {
        for (const [, sentence] of call[1].matchAll(/"((?:[^"\\]|\\.){2,})"/g)) {
          if (!NO_SENTENCE.test(sentence) && !SAME.has(sentence) && translated(sentence) === sentence) missing.push([name, sentence]);
        }
      }
    }
    assert.deepEqual(missing, []);
  });

  test(`every text in the HTML of ${folder || "the page"} is in the table`, () => {
    const html = readFileSync(new URL(`${folder}index.html`, web), "utf8").replace(/<svg[^]*?<\/svg>|<title>.*?<\/title>|<script.*?<\/script>/g, "");
    const texts = [...html.matchAll(/>([^<>]+)</g)].map(([, text]) => text.trim().replace(/^· /, "").replace(/ ·$/, "").trim());
    const attributes = [...html.matchAll(/(?:aria-label|placeholder|title)="([^"]+)"/g)].map(([, text]) => text);
    const missing = [...texts, ...attributes].filter((text) => text && !SAME.has(text) && translated(text) === text);
    assert.deepEqual(missing, []);
  });
}

test("a node's states are in the table", () => {
  const states = readFileSync(new URL("../gateway/server/health.py", web), "utf8").match(/class State[^]*?\n\n\n/)[0].matchAll(/ = "(\w+)"/g);
  const missing = [...states].map(([, state]) => state).filter((state) => operators.t(state) === state);
  assert.deepEqual(missing, []);
});

test("numbers choose the form", () => {
  const said = [1, 2, 5, 21, 112].map((count) => t("{count} members", { count }));
  assert.deepEqual(said, ["1 участник", "2 участника", "5 участников", "21 участник", "112 участников"]);
  assert.equal(t("a sentence of the server"), "a sentence of the server");
});
