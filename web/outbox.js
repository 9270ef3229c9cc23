/**
 * The commands of one user in one chat without a response, oldest first, and the rejected ones.
 *
 * With a `storage` (the Web Storage interface) they are written there at every change. So they outlive this object:
 * the next login of the same user, or the page after a reload, sends them with the same client_msg_id.
 */

/** The most commands of one chat, including rejected ones; 100 texts of default length fit the quota of any browser. */
export const MAX_UNSENT = 100;

/** Whether `storage` has commands of `user` in this chat that must still be sent. */
export function hasUnsent(storage, user, chatId) {
  return read(storage, keyOf(user, chatId)).some(({ failure }) => !failure);
}

export class Outbox {
  /**
   * `{frame, epoch, failure, at, entry}`: the command, the history that it refers to, the reason of its rejection, its
   * time, and its entry in the timeline.
   */
  items = [];
  underWay = null; // the command that was sent on the present connection and has no response yet
  #storage;
  #key;
  #expect;

  /** `expect(text, clientMsgId, at)` shows a message that the server does not have, and returns its entry. */
  constructor({ storage, user, chatId, expect }) {
    this.#storage = storage;
    this.#key = keyOf(user, chatId);
    this.#expect = expect;
    if (storage) this.items = read(storage, this.#key);
    for (const item of this.items) this.#show(item);
  }

  /** The oldest command that must be sent, if any. */
  get next() {
    return this.items.find(({ failure }) => !failure);
  }

  get isFull() {
    return this.items.length >= MAX_UNSENT;
  }

  add(frame, epoch) {
    const item = { frame: { ...frame, client_msg_id: newClientMsgId() }, epoch, failure: null, at: new Date().toISOString() };
    this.items.push(item);
    this.#show(item);
    this.#save();
  }

  remove(item) {
    if (item === this.underWay) this.underWay = null;
    this.items = this.items.filter((other) => other !== item);
    this.#save();
  }

  find(clientMsgId) {
    return this.items.find(({ frame }) => frame.client_msg_id === clientMsgId);
  }

  /** Marks `item` as finally rejected; its text, if it has one, stays visible. */
  fail(item, failure) {
    if (item === this.underWay) this.underWay = null;
    item.failure = failure;
    this.#show(item);
    if (item.entry) this.#save();
    else this.remove(item);
  }

  failAll(failure) {
    for (const item of this.items) if (!item.failure) this.fail(item, failure);
  }

  /** Fails the edits, deletions and reactions that belong to another history than `epoch`; returns whether there were any. */
  failChangesOfOtherHistories(epoch, failure) {
    const isChange = ({ frame }) => (frame.id ?? frame.message_id) !== undefined;
    const isStale = (item) => isChange(item) && !item.failure && item.epoch !== epoch;
    const stale = this.items.filter((item) => isStale(item) && item !== this.underWay);
    for (const item of stale) this.fail(item, failure);
    return stale.length > 0;
  }

  /** The text of a message, or of a failed edit. */
  #show(item) {
    const { frame, failure, at } = item;
    if (frame.type !== "message" && !(failure && frame.text)) return;
    item.entry ??= this.#expect(frame.text, frame.client_msg_id, at);
    item.entry.failure = failure;
  }

  #save() {
    const items = this.items.map(({ frame, epoch, failure, at }) => ({ frame, epoch, failure, at }));
    if (items.length > 0) this.#storage?.setItem(this.#key, JSON.stringify(items));
    else this.#storage?.removeItem(this.#key);
  }
}

/** Includes the login: the id alone could be another user after the database of the server was replaced. */
function keyOf({ id, username }, chatId) {
  return `chat-unsent:${id}:${username}:${chatId}`;
}

function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key) ?? "[]").slice(0, MAX_UNSENT);
  } catch {
    return []; // not written by this file
  }
}

/** 128 random bits in hex; `crypto.randomUUID` exists only on secure origins. */
function newClientMsgId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
