/** The text of a message: validation and search for links, both in linear time. */

import { t } from "./words.js";

const URL_START = /\bhttps?:\/\//gi;
/** Characters that end a URL: white space, quotes, angle brackets, and invisible characters that could disguise it. */
const URL_END = /[\s<>"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const CLOSING = { ")": "(", "]": "[", "}": "{" };
const TRAILING = new Set([...".,;:!?'*_~…»”’。，、！？", ...Object.keys(CLOSING)]); // part of the sentence, not of the URL

/** The error of a text as a sentence, or null. The server makes the final check. */
export function textProblem(text, maxLength) {
  if (!text.trim()) return t("A message cannot be empty.");
  const length = lengthOf(text);
  if (length > maxLength) {
    return t("A message can have at most {most} characters; this one has {length}.", { most: maxLength, length });
  }
  return null;
}

/** The length in code points, as counted by the server. */
export function lengthOf(text) {
  return [...text].length;
}

/** `text` in pieces, in order: `{text}`, and `{text, href}` for each http or https URL. */
export function piecesOf(text) {
  const pieces = [];
  let end = 0;
  URL_START.lastIndex = 0;
  for (let start; (start = URL_START.exec(text)); ) {
    const urlEnd = endOfUrl(text, URL_START.lastIndex);
    URL_START.lastIndex = urlEnd; // in any case, so that no character is read twice
    const url = withoutTrailing(text.slice(start.index, urlEnd));
    const href = hrefOf(url);
    if (!href) continue;
    if (start.index > end) pieces.push({ text: text.slice(end, start.index) });
    pieces.push({ text: url, href });
    end = start.index + url.length;
  }
  if (end < text.length || pieces.length === 0) pieces.push({ text: text.slice(end) });
  return pieces;
}

function endOfUrl(text, from) {
  URL_END.lastIndex = from;
  return URL_END.exec(text)?.index ?? text.length;
}

/** Removes punctuation of the sentence from the end; a bracket is kept if the URL contains the opening one. */
function withoutTrailing(url) {
  const counts = {};
  for (const character of url) counts[character] = (counts[character] ?? 0) + 1;
  let length = url.length;
  for (; TRAILING.has(url[length - 1]); length -= 1) {
    const last = url[length - 1];
    if (last in CLOSING && (counts[CLOSING[last]] ?? 0) >= counts[last]) break;
    counts[last] -= 1;
  }
  return url.slice(0, length);
}

/** Null for invalid URLs and for those with a user name, which can deceive: `https://bank.example@evil.example`. */
function hrefOf(text) {
  if (!URL.canParse(text)) return null;
  const { protocol, username, password, href } = new URL(text);
  return (protocol === "http:" || protocol === "https:") && !username && !password ? href : null;
}
