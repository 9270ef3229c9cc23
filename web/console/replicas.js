/** The replicas, once a second: a card each, with plots of the last minute. A replica that is gone stays as a grey card. */

import { at, button, duration, make } from "./dom.js";
import { locale } from "../translator.js";
import { Plot } from "./plot.js";
import { t } from "./words.js";

const EVERY_MS = 1_000;
const STALE_S = 3;
const FORGET_MS = 60_000;
const PLOTS = [
  ["connections", t("connections"), whole],
  ["stored_per_s", t("messages/s stored"), tenths],
  ["delivered_per_s", t("deliveries/s"), tenths],
  ["delivery_lag_ms", t("delivery lag"), milliseconds],
  ["loop_lag_ms", t("event loop lag"), milliseconds],
  ["repaired_events", t("events repaired"), whole],
];

export class Replicas {
  #api;
  #cards = new Map();
  #timer;
  #controls = false;

  /** `failed(error)` is called for every answer that is not a list. */
  constructor(api, failed) {
    this.#api = api;
    this.failed = failed;
  }

  /** Shows a list that was read already, and reads on until `stop`. */
  start(list) {
    this.#controls = list.controls === true;
    this.#show(list);
    this.#timer = setTimeout(() => this.#read(), EVERY_MS);
  }

  stop() {
    clearTimeout(this.#timer);
  }

  async #read() {
    try {
      if (!document.hidden) this.#show(await this.#api.get("api/v1/replicas"));
      at("replicas-problem").textContent = "";
    } catch (error) {
      at("replicas-problem").textContent = error.message;
      if (this.failed(error)) return;
    }
    this.#timer = setTimeout(() => this.#read(), EVERY_MS);
  }

  #show({ answered_by: answeredBy, replicas }) {
    const now = Date.now();
    for (const replica of replicas) {
      if (!this.#cards.has(replica.id)) {
        const card = new Card(replica, this.#controls ? () => this.#api.post(`api/v1/up/replicas/${replica.id}/stop`) : null);
        this.#cards.set(replica.id, card);
        at("replicas").append(card.element);
      }
      this.#cards.get(replica.id).show(replica, replica.id === answeredBy, now);
    }
    for (const [id, card] of this.#cards) {
      if (replicas.some((replica) => replica.id === id)) continue;
      if (card.element.dataset.state !== "gone") at("replicas").append(card.element); // after those that work
      card.gone(now);
      if (now - card.seenAt > FORGET_MS) {
        card.element.remove();
        this.#cards.delete(id);
      }
    }
    const sum = (field) => replicas.reduce((total, replica) => total + replica[field], 0);
    at("replicas-sum").textContent = [
      t("{count} replicas", { count: replicas.length }), t("{count} connections", { count: whole(sum("connections")) }, sum("connections")),
      t("{count} messages/s stored", { count: tenths(sum("stored_per_s")) }, sum("stored_per_s")),
      t("{count} deliveries/s", { count: tenths(sum("delivered_per_s")) }, sum("delivered_per_s")),
    ].join(" · ");
  }
}

class Card {
  #state = make("span", { className: "chip" });
  #detail = make("p", { className: "muted" });
  #problem = make("p", { className: "error" });
  #plots = new Map(PLOTS.map(([field, name, format]) => [field, new Plot(name, format)]));
  #stop = null;

  constructor(replica, stop) {
    const head = make("header", {}, make("h3", { textContent: replica.id }), this.#state);
    if (stop) {
      this.#stop = button(t("Stop"), "plain", stop, (sentence) => { this.#problem.textContent = sentence; });
      this.#stop.title = t("End the process at once, as a crash would; it is started again.");
      head.append(this.#stop);
    }
    const plots = make("div", { className: "plots" }, ...[...this.#plots.values()].map((plot) => plot.element));
    this.element = make("li", { className: "panel replica" }, head, this.#detail, this.#problem, plots);
    this.element.dataset.replica = replica.id;
  }

  show(replica, isAnswering, now) {
    this.seenAt = now;
    const down = Object.entries(replica.dependencies).filter(([, isUp]) => !isUp).map(([name]) => name);
    const isStale = replica.age_s > STALE_S;
    this.#set(isStale ? "silent" : replica.state);
    const age = duration((now - Date.parse(replica.started_at)) / 1000);
    const words = [
      t("version {version}", { version: replica.version }), t("up {time}", { time: age }),
      t("{count} seats", { count: whole(replica.seats) }, replica.seats), t("{count} gaps found", { count: whole(replica.gaps) }, replica.gaps),
      ...(down.length ? [t("{parts} down", { parts: down.join(", ") })] : []), ...(isAnswering ? [t("answers this page")] : []),
    ];
    this.#detail.textContent = words.join(" · ");
    for (const [field, plot] of this.#plots) plot.add(isStale ? null : replica[field]);
  }

  gone(now) {
    this.#set("gone");
    this.#detail.textContent = t("last seen {time} ago", { time: duration((now - this.seenAt) / 1000) });
    for (const plot of this.#plots.values()) plot.add(null);
  }

  #set(state) {
    this.#state.textContent = t(state);
    this.element.dataset.state = state;
    if (this.#stop) this.#stop.hidden = state === "gone";
  }
}

function whole(value) {
  return value.toLocaleString(locale);
}

function tenths(value) {
  return value.toLocaleString(locale, { maximumFractionDigits: 1 });
}

function milliseconds(value) {
  return t("{value} ms", { value: value.toLocaleString(locale, { maximumFractionDigits: value < 10 ? 1 : 0 }) });
}
