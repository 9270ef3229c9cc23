/** The Russian words of the page: every sentence of the modules and of index.html has one. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const web = new URL("../../web/", import.meta.url);
const SAME = new Set(["Chat", "Enter", "Shift Enter", "↑", "·", "@"]);

Object.defineProperty(globalThis, "navigator", { configurable: true, value: { languages: ["de-DE", "ru-RU", "en"] } });
const { language, t } = await import("../../web/words.js");

test("the first language that the page has is chosen", () => {
  assert.equal(language, "ru");
});

test("every sentence of the modules is in the table", () => {
  const missing = [];
  for (const name of readdirSync(web).filter((one) => one.endsWith(".js") && one !== "words.js")) {
    const source = readFileSync(new URL(name, web), "utf8");
    for (const call of source.matchAll(/\bt\(([^()]*(?:\([^()]*\)[^()]*)*)\)/g)) {
      for (const [, sentence] of call[1].matchAll(/"((?:[^"\\]|\\.){2,})"/g)) {
        if (!/^[a-z_-]+$/.test(sentence) && t(sentence) === sentence) missing.push([name, sentence]);
      }
    }
  }
  assert.deepEqual(missing, []);
});

test("every text of the page's structure is in the table", () => {
  const html = readFileSync(new URL("index.html", web), "utf8").replace(/<svg[^]*?<\/svg>|<title>.*?<\/title>|<script.*?<\/script>/g, "");
  const texts = [...html.matchAll(/>([^<>]+)</g)].map(([, text]) => text.trim().replace(/^· /, "").replace(/ ·$/, "").trim());
  const attributes = [...html.matchAll(/(?:aria-label|placeholder|title)="([^"]+)"/g)].map(([, text]) => text);
  const missing = [...texts, ...attributes].filter((text) => text && !SAME.has(text) && t(text) === text);
  assert.deepEqual(missing, []);
});

test("numbers choose the form", () => {
  const said = [1, 2, 5, 21, 112].map((count) => t("{count} members", { count }));
  assert.deepEqual(said, ["1 участник", "2 участника", "5 участников", "21 участник", "112 участников"]);
  assert.equal(t("a sentence of the server"), "a sentence of the server");
});
