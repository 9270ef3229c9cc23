/**
 * The promise of delivery, shown: ten messages a second to a chat, read by several clients, while replicas are stopped
 * and Redis is cut. Each client counts what it gets by seq, so that a loss, a repetition or a wrong order would show.
 */

import { at, busy, make } from "./dom.js";
import { t } from "./words.js";

const READERS = 4;
const EVERY_MS = 100;
const PAUSE_MS = 500; // without a message: a delay that is worth a line
const BURST_MS = 50; // within which what was missed arrives
const RECONNECT_MS = 150; // plus as much again at random: clients of an application wait longer
const KEY = "console-promise";
const SCOPES = ["chats", "messages"];

export class Promised {
  #api;
  #run = null;

  /** `isOffered`: whether the server can stop replicas and cut Redis. */
  constructor(api, isOffered) {
    this.#api = api;
    at("promised").hidden = !isOffered;
    at("promised-start").addEventListener("click", () => busy(at("promised-start"), () => this.#toggle(), fail));
    at("promised-redis").addEventListener("click", () => busy(at("promised-redis"), async () => {
      await api.post("api/v1/up/redis/cut");
      tell(t("Redis was cut for 5 s."));
    }, fail));
  }

  end() {
    this.#run?.end();
    this.#run = null;
  }

  async #toggle() {
    fail("");
    if (this.#run) {
      this.end();
    } else {
      at("promised-events").replaceChildren();
      const chat = await this.#api.post("api/v1/chats", { kind: "public", key: KEY, title: "The promise" });
      this.#run = new Run(this.#api, chat);
    }
    at("promised-start").textContent = t(this.#run ? "End" : "Start");
  }
}

/** One demonstration: a sender and its readers. */
class Run {
  #api;
  #chat;
  #readers;
  #sending = [];
  #timers;
  #number = 0;
  #isOver = false;

  constructor(api, chat) {
    this.#api = api;
    this.#chat = chat.id;
    this.#readers = Array.from({ length: READERS }, (_, place) => new Reader(api, chat, place + 1));
    this.#timers = [setInterval(() => this.#write(), EVERY_MS), setInterval(() => this.#sum(), 250)];
    this.#send();
  }

  end() {
    this.#isOver = true;
    this.#timers.forEach(clearInterval);
    this.#sum();
    for (const reader of this.#readers) reader.close();
  }

  #write() {
    if (this.#sending.length < 1000) this.#sending.push({ text: String(++this.#number), id: crypto.randomUUID() });
  }

  /** Sends in order; a message without an answer is sent again under its id, and so stored once. */
  async #send() {
    while (!this.#isOver) {
      const message = this.#sending[0];
      if (message) {
        try {
          await this.#api.post(`api/v1/chats/${this.#chat}/messages`, { text: message.text }, { "Idempotency-Key": message.id });
          this.#sending.shift();
          this.stored = Number(message.text);
          fail("");
          continue;
        } catch (error) {
          if (error.status === 403) fail(`${error.message} ${t("It needs {scopes}.", { scopes: SCOPES.join(", ") })}`);
        }
      }
      await new Promise((done) => setTimeout(done, EVERY_MS / 2));
    }
  }

  #sum() {
    const wrong = this.#readers.reduce((total, reader) => total + reader.wrong, 0);
    const got = Math.min(...this.#readers.map((reader) => reader.got));
    const verdict = wrong === 0 ? t("none lost, none twice, all in order") : t("{count} lost, repeated or out of order", { count: wrong });
    const sums = [t("{count} messages stored", { count: this.stored ?? 0 }), t("each of {readers} clients got {count}", { readers: READERS, count: got })];
    at("promised-sum").textContent = [...sums, verdict].join(" · ");
    at("promised-sum").dataset.wrong = String(wrong);
  }
}

/** A client without a login that follows the public chat over the native protocol, and resumes after each loss. */
class Reader {
  got = 0;
  wrong = 0;
  #api;
  #chat;
  #name; // as it is shown
  #id;
  #position;
  #socket;
  #timer;
  #isOver = false;
  #isCut = false;
  #heardAt = performance.now();
  #burst = null; // { pauseMs, messages } after a pause

  constructor(api, chat, number) {
    this.#api = api;
    this.#chat = chat.id;
    this.#name = t("Client {number}", { number });
    this.#id = `console-${number}`;
    this.#position = { epoch: null, seq: chat.last_seq };
    this.#connect();
  }

  close() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  #connect() {
    const startedAt = performance.now();
    const { epoch, seq } = this.#position;
    let missed = 0;
    this.#socket = new WebSocket(this.#api.socketUrl(`ws/${this.#id}`));
    this.#socket.onopen = () => this.#socket.send(JSON.stringify({
      type: "subscribe", id: 1, chat_id: this.#chat, since: epoch === null ? seq : `${epoch}:${seq}`,
    }));
    let isLive = false;
    this.#socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.type === "ack" && frame.result?.epoch) this.#position.epoch = frame.result.epoch;
      else if (frame.type === "message") {
        this.#take(frame.data);
        if (isLive) this.#listen();
        else missed += 1;
      } else if (frame.type === "caught_up") {
        isLive = true;
        const ms = Math.round(performance.now() - startedAt);
        if (this.#isCut) tell(t("{client}: {count} messages caught up in {ms} ms", { client: this.#name, count: missed, ms }), "good");
        this.#isCut = false;
        this.#heardAt = performance.now();
      }
    };
    this.#socket.onclose = () => {
      if (this.#isOver) return;
      if (!this.#isCut) tell(t("{client} was cut off.", { client: this.#name }));
      this.#isCut = true;
      this.#timer = setTimeout(() => this.#connect(), RECONNECT_MS * (1 + Math.random()));
    };
  }

  /** Notes a pause: while Redis is away, the messages of other replicas come from the database. */
  #listen() {
    const pauseMs = performance.now() - this.#heardAt;
    this.#heardAt = performance.now();
    if (this.#burst) this.#burst.messages += 1;
    if (pauseMs < PAUSE_MS) return;
    const burst = this.#burst = { messages: 1 };
    setTimeout(() => {
      this.#burst = null;
      const values = { client: this.#name, count: burst.messages, ms: Math.round(pauseMs) };
      if (burst.messages > 1) tell(t("{client}: {count} messages caught up after {ms} ms", values), "good");
    }, BURST_MS);
  }

  #take({ seq }) {
    if (seq !== this.#position.seq + 1) this.wrong += 1;
    this.got += 1;
    this.#position.seq = seq;
  }
}

function tell(text, className = "") {
  const row = make("p", { className, textContent: text });
  at("promised-events").append(row);
  while (at("promised-events").children.length > 200) at("promised-events").firstChild.remove();
  row.scrollIntoView({ block: "nearest" });
}

function fail(sentence) {
  at("promised-problem").textContent = sentence;
}
