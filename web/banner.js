/** The banner over the open chat: that the connection is lost or closed, and the button that opens it again. */

import { asSentence, inSeconds, setText } from "./names.js";
import { t } from "./words.js";

const INTERRUPTION_MS = 1_000; // an interruption shorter than this is not shown
const DRAIN = 4000;

/** Why a connection was closed for good, by its close code. */
const FINAL = {
  4401: "Your session has ended. Please log in again.",
  4408: "This account has been blocked.",
  4429: "Too many requests were sent or refused. Please wait a minute before you come back.",
};

const at = (id) => document.getElementById(id);

export class Banner {
  #client = null;
  #repaint;
  #timer;

  /** `repaint()` is called when `paint` would show something else than it did. */
  constructor(repaint) {
    this.#repaint = repaint;
    at("banner-action").addEventListener("click", () => this.#reconnect());
  }

  paint(client, chat) {
    this.#client = client;
    const { state, lostAt } = client;
    clearTimeout(this.#timer);
    if (isInterrupted(client)) this.#timer = setTimeout(this.#repaint, INTERRUPTION_MS);
    const isClosed = state === "closed" || chat.state === "closed";
    at("banner").hidden = (!isClosed && lostAt === null) || isInterrupted(client);
    if (at("banner").hidden) return;
    setText(at("banner-text"), sentenceOf(client, chat));
    setText(at("banner-action"), t(isClosed ? "Open again" : "Try now"));
    at("banner-action").hidden = chat.state === "closed";
  }

  #reconnect() {
    if (this.#client.state === "closed") this.#client.connect();
    else this.#client.wake();
  }
}

/** Whether the connection was lost a moment ago: it is usually restored before the user need know. */
export function isInterrupted({ lostAt }) {
  return navigator.onLine && lostAt !== null && Date.now() - lostAt < INTERRUPTION_MS;
}

function sentenceOf({ state, closeCode, retryAt }, chat) {
  if (chat.state === "closed") return asSentence(chat.error.message);
  if (state === "closed") return t(FINAL[closeCode] ?? "The server has closed the connection (code {code}).", { code: closeCode });
  if (!navigator.onLine) return t("You are offline. What you write is sent when the network is back.");
  const next = retryAt ? t("Trying again {when}.", { when: inSeconds(retryAt) }) : t("Trying again now.");
  return `${t(closeCode === DRAIN ? "This replica is restarting." : "The connection was lost.")} ${next}`;
}
