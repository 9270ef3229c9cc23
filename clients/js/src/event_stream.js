/**
 * The protocol without WebSockets, in the place of a `Socket`: an event stream to read, a request for each command
 * (docs/sse.md).
 *
 * The chats of a stream are in its URL: each new subscription opens another stream, after what the client has of each chat.
 */

import { LOST } from "./socket.js";

const SILENCE_MS = 45_000; // the gateway sends a comment every 15 s
const ANSWER_MS = 10_000;
const REQUEST_MS = 30_000;
const MAX_CHATS = 200;
const CODES = { 401: 4401, 403: 4403, 404: 4403 };

export class EventStream {
  #path;
  #http;
  #positionOf;
  #receive;
  #closed;
  #isOpen = true;
  #chats = new Map(); // id → the `since` of its subscription, if it has one
  #asked = new Map(); // id of a chat, or "users" → the id of the command that waits for its reply
  #users = null; // those whose presence is followed
  #stream = null; // the AbortController of the present stream
  #timers = {};

  /** As for `Socket`; `positionOf(chatId)` is how far the client has a chat. */
  constructor({ clientId, http, token, positionOf, opened, receive, closed }) {
    this.#path = `/sse/${encodeURIComponent(clientId)}`;
    this.#http = http;
    this.#positionOf = positionOf;
    this.#receive = receive;
    this.#closed = closed;
    this.#expect();
    queueMicrotask(() => {
      if (!this.#isOpen) return;
      if (token === null) receive({ type: "hello", id: 0, user_id: null, authenticated: false });
      else opened();
      this.#reopen();
    });
  }

  send(frame) {
    const { type, id, chat_id: chatId } = frame;
    switch (type) {
      case "subscribe":
        if (this.#chats.size >= MAX_CHATS && !this.#chats.has(chatId)) {
          const message = `A stream has at most ${MAX_CHATS} chats.`;
          return void queueMicrotask(() => this.#receive({ type: "error", id, code: "too_many_subscriptions", message }));
        }
        this.#chats.set(chatId, frame.since);
        this.#asked.set(chatId, id);
        return this.#reopen();
      case "unsubscribe":
        this.#chats.delete(chatId); // what this stream still brings of it does no harm
        return void queueMicrotask(() => this.#receive({ type: "ack", id }));
      case "subscribe_presence":
        this.#users = frame.user_ids;
        this.#asked.set("users", id);
        return this.#reopen();
      case "refresh":
        this.#reopen(); // with the new token
        return void queueMicrotask(() => this.#receive({ type: "refreshed", id }));
    }
    this.#post(frame, REQUEST_MS);
  }

  probe(ms = ANSWER_MS) {
    this.#post({ type: "ping" }, ms);
  }

  close() {
    this.#isOpen = false;
    this.#stream?.abort();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  async #post(frame, ms) {
    const { id } = frame;
    try {
      const response = await this.#http.fetch("POST", "/api/v1/commands", { body: frame, ms });
      if (!this.#isOpen) return;
      const answer = await response.json().catch(() => ({}));
      if (response.ok) this.#receive({ ...answer, id });
      else if (response.status === 401 || frame.type === "hello") this.#end(CODES[response.status] ?? LOST, "");
      else {
        const { code = "unavailable", detail: message = "" } = answer;
        const seconds = Number(response.headers.get("Retry-After"));
        this.#receive({ type: "error", id, code, message, ...(seconds && { retry_after_s: seconds }) });
      }
    } catch {
      this.#end(LOST, "");
    }
  }

  /** Opens a stream with the present chats, once for all that ask for it in this turn of the event loop. */
  #reopen() {
    this.#timers.reopen ??= setTimeout(() => {
      this.#timers.reopen = undefined;
      this.#stream?.abort();
      this.#read((this.#stream = new AbortController()));
    });
  }

  get #query() {
    const chats = [...this.#chats].map(([id, since]) => [id, this.#positionOf(id) ?? since]);
    const positions = chats.map(([id, since]) => (since === undefined ? id : `${id}:${since}`)).join();
    const presence = this.#users?.length ? `&presence=${this.#users.join()}` : "";
    return `refresh=1&chats=${encodeURIComponent(positions)}${presence}`;
  }

  async #read(stream) {
    const isCurrent = () => this.#isOpen && this.#stream === stream;
    try {
      const options = { stop: stream, accept: "text/event-stream" };
      const response = await this.#http.fetch("GET", `${this.#path}?${this.#query}`, options);
      if (isCurrent() && !response.ok) return this.#end(CODES[response.status] ?? LOST, "");
      if (!this.#users?.length) this.#answer("users", { type: "ack", result: { users: [] } });
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (let text = ""; isCurrent(); ) {
        const { done, value } = await reader.read();
        if (done || !isCurrent()) break;
        this.#expect();
        const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
        text = events.pop();
        for (const event of events) if (isCurrent()) this.#take(event);
      }
    } catch {
      // the end of the stream
    }
    if (isCurrent()) this.#end(LOST, "");
  }

  #take(event) {
    const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s)));
    if (fields.data === undefined) return; // a comment
    const frame = JSON.parse(fields.data);
    if (fields.event === "close") this.#end(frame.code, frame.reason);
    else if (frame.type === "ack") this.#answer(frame.chat_id, frame);
    else if (frame.type === "users_presence") this.#answer("users", { type: "ack", result: { users: frame.users } });
    else if (frame.type !== "error") this.#receive(frame);
    else {
      this.#chats.delete(frame.chat_id);
      if (!this.#answer(frame.chat_id, frame)) this.#receive(frame);
    }
  }

  /** Gives the reply to the command that waits for it, if there is one: a stream opened again repeats its replies. */
  #answer(key, frame) {
    const id = this.#asked.get(key);
    if (id === undefined) return false;
    this.#asked.delete(key);
    this.#receive({ ...frame, id });
    return true;
  }

  #expect() {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#end(LOST, ""), SILENCE_MS);
  }

  #end(code, reason) {
    if (!this.#isOpen) return;
    this.close();
    this.#closed(code, reason);
  }
}
