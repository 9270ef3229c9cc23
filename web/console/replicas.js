/** The replicas, once a second: a card each, with plots of the last minute. A replica that is gone stays as a grey card. */

import { at, button, duration, make } from "./dom.js";
import { Plot } from "./plot.js";

const EVERY_MS = 1_000;
const STALE_S = 3;
const FORGET_MS = 60_000;
const PLOTS = [
  ["connections", "connections", whole],
  ["stored_per_s", "messages/s stored", tenths],
  ["delivered_per_s", "deliveries/s", tenths],
  ["delivery_lag_ms", "delivery lag", milliseconds],
  ["loop_lag_ms", "event loop lag", milliseconds],
  ["repaired_events", "events repaired", whole],
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
    at("replicas-sum").textContent =
      `${replicas.length} ${replicas.length === 1 ? "replica" : "replicas"} · ${sum("connections")} connections · ` +
      `${tenths(sum("stored_per_s"))} messages/s stored · ${tenths(sum("delivered_per_s"))} deliveries/s`;
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
      this.#stop = button("Stop", "plain", stop, (sentence) => { this.#problem.textContent = sentence; });
      this.#stop.title = "End the process at once, as a crash would; it is started again.";
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
      `version ${replica.version}`, `up ${age}`, `${replica.seats} seats`, `${replica.gaps} gaps found`,
      ...(down.length ? [`${down.join(", ")} down`] : []), ...(isAnswering ? ["answers this page"] : []),
    ];
    this.#detail.textContent = words.join(" · ");
    for (const [field, plot] of this.#plots) plot.add(isStale ? null : replica[field]);
  }

  gone(now) {
    this.#set("gone");
    this.#detail.textContent = `last seen ${duration((now - this.seenAt) / 1000)} ago`;
    for (const plot of this.#plots.values()) plot.add(null);
  }

  #set(state) {
    this.#state.textContent = state;
    this.element.dataset.state = state;
    if (this.#stop) this.#stop.hidden = state === "gone";
  }
}

function whole(value) {
  return value.toLocaleString();
}

function tenths(value) {
  return value.toLocaleString(undefined, { maximumFractionDigits: 1 });
}

function milliseconds(value) {
  return `${value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;
}
