/** The few ways in which the operator's page builds its elements. Text is always text, never markup. */

import { locale } from "../translator.js";
import { t } from "./words.js";

export const at = (id) => document.getElementById(id);

/** An element: `make("p", { className: "muted" }, "text", child)`. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A button that calls `act` and is disabled while that runs; what fails is shown by `failed(sentence)`. */
export function button(text, className, act, failed) {
  const element = make("button", { type: "button", className, textContent: text });
  element.addEventListener("click", () => busy(element, act, failed));
  return element;
}

/** Disables `element` while `act` runs. */
export async function busy(element, act, failed) {
  element.disabled = true;
  try {
    await act();
  } catch (error) {
    failed(error.message);
  } finally {
    element.disabled = false;
  }
}

/** Calls `act` on the form's submit, with its fields as an object. */
export function onSubmit(form, act, failed) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    failed("");
    busy(form.querySelector("button"), () => act(Object.fromEntries(new FormData(form))), failed);
  });
}

/** A definition list of the pairs. */
export function facts(pairs) {
  const rows = pairs.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", {}, value)));
  return make("dl", { className: "facts" }, ...rows);
}

/** A table; `columns` are its heads, `rows` arrays of texts or elements. */
export function table(columns, rows) {
  const head = make("tr", {}, ...columns.map((text) => make("th", { scope: "col", textContent: text })));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  return make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

const TIME = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" });

/** A time of the API as the reader's clock shows it. */
export function time(text) {
  return make("time", { dateTime: text, textContent: TIME.format(new Date(text)) });
}

/** "3 min", for a number of seconds. */
export function duration(seconds) {
  if (seconds >= 86_400) return t("{count} d", { count: Math.floor(seconds / 86_400) });
  if (seconds >= 3_600) return t("{count} h", { count: Math.floor(seconds / 3_600) });
  if (seconds >= 60) return t("{count} min", { count: Math.floor(seconds / 60) });
  return t("{count} s", { count: Math.max(0, Math.floor(seconds)) });
}
