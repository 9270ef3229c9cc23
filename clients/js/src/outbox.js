import { Rejected } from "./errors.js";

/** The most commands of one chat, including rejected ones. */
const MAX_UNSENT = 100;
/** Before a command is repeated whose error names no delay. */
export const RETRY_S = 1;
/** Errors after which the same command is sent again. */
export const TEMPORARY = new Set(["unavailable", "rate_limited", "slow_mode", "conflict"]);
const STALE = { code: "reset", message: "The chat was restored to an earlier state before this change was saved." };

/**
 * The commands of one user in one chat that are not stored yet, oldest first, and the rejected messages.
 *
 * Keeps: one of them is under way at a time, and it is sent again with the same client_msg_id until the gateway has
 * replied. So commands are stored once, in the order of the calls.
 */
export class Outbox {
  /** As `Outboxes` makes them; `error` is `{code, message}` once a message is rejected. */
  items = [];
  /** `{code, message, until}` while a limit or an outage delays the next command; `until` in ms since 1970. */
  held = null;
  #client;
  #chat;
  #isPumping = false;
  #promises = new Map(); // client_msg_id → {resolve, reject} of its call

  /** `chat` has `_canSend`, and takes `_show(item)`, `_stored(item, reply)` and `_rejected(error)`. */
  constructor(client, chat) {
    this.#client = client;
    this.#chat = chat;
  }

  /** The oldest command that must be sent, if any. */
  get next() {
    return this.items.find(({ error }) => !error);
  }

  /** The rejected message with this id. */
  rejected(clientMsgId) {
    return this.items.find(({ frame, error }) => error && frame.client_msg_id === clientMsgId);
  }

  /** Resolves to `{message_id, seq, duplicate}` when it is stored; rejects with Rejected or Disconnected. */
  add(frame, epoch) {
    if (this.items.length >= MAX_UNSENT) {
      const error = new Rejected("outbox_full", `${MAX_UNSENT} commands wait to be sent in this chat already.`);
      this.#chat._rejected(error);
      return handled(Promise.reject(error));
    }
    const item = this.#client._outboxes.item(frame, epoch);
    this.items.push(item);
    this.#client._outboxes.save(item);
    const promise = new Promise((resolve, reject) => this.#promises.set(item.key, { resolve, reject }));
    this.#chat._show(item);
    this.pump();
    return handled(promise);
  }

  /** Takes what an earlier page or another tab has left. */
  adopt(items) {
    const known = new Set(this.items.map(({ key }) => key));
    const adopted = items.filter(({ key }) => !known.has(key));
    this.items = [...this.items, ...adopted].sort((one, other) => one.order - other.order);
    for (const item of this.items) this.#chat._show(item);
    this.pump();
  }

  retry(item) {
    item.error = null;
    this.#client._outboxes.save(item);
    this.#chat._show(item);
    this.pump();
  }

  remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.#client._outboxes.remove(item);
  }

  /** Rejects every command that waits and for which `isMet(item)`. A message stays, with its error. */
  fail(error, isMet = () => true) {
    for (const item of this.items.filter((one) => !one.error && isMet(one))) this.#fail(item, error);
  }

  /** Message ids belong to one history: an edit or deletion for an old one must not change a message of the new one. */
  failStale(epoch) {
    this.fail(STALE, (item) => item.frame.type !== "message" && item.epoch !== null && item.epoch !== epoch);
  }

  /** Their calls reject; the commands stay in the storage. */
  abandon(error) {
    for (const { reject } of this.#promises.values()) reject(error);
    this.#promises.clear();
  }

  /** Sends one command after the other while the chat can. */
  async pump() {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let item;
    while (this.#chat._canSend && (item = this.next)) {
      const reply = await this.#client._request(item.frame);
      if (!this.items.includes(item)) continue; // it was rejected meanwhile
      if (reply?.type === "error" && TEMPORARY.has(reply.code)) await this.#hold(reply);
      else if (reply?.type === "error") this.#fail(item, { code: reply.code, message: reply.message });
      else if (reply) this.#settle(item, reply);
    }
    this.#isPumping = false;
  }

  async #hold({ code, message, retry_after_s: seconds = RETRY_S }) {
    this.held = { code, message, until: Date.now() + 1000 * seconds };
    this.#chat._changed();
    await this.#client._sleep(seconds);
    this.held = null;
    this.#chat._changed();
  }

  #settle(item, reply) {
    this.remove(item);
    this.#chat._stored(item, reply);
    const { message_id, seq, duplicate = false } = reply;
    this.#promises.get(item.key)?.resolve({ message_id, seq, duplicate });
    this.#promises.delete(item.key);
  }

  #fail(item, error) {
    item.error = error;
    if (item.frame.text === undefined) this.remove(item);
    else this.#client._outboxes.save(item);
    this.#chat._show(item);
    this.#chat._rejected(error);
    this.#promises.get(item.key)?.reject(new Rejected(error.code, error.message));
    this.#promises.delete(item.key);
  }
}

/** Who does not wait for a promise sees its outcome in the messages, and gets no unhandled rejection. */
function handled(promise) {
  promise.catch(() => {});
  return promise;
}
