import { Emitter } from "./emitter.js";

const PAGE = 50;
const MAX_PAGES = 20; // that a reload reads
const REFRESH_MS = 1_000; // the pause between two reads of the first page
const RETRY_MS = 5_000;

/**
 * The user's chats by activity, live: pinned ones first, then the latest message first. Fires `change`.
 *
 * The feed says where something happened; what it was is read with the first page, once for all chats of a second.
 */
export class ChatList extends Emitter {
  /** Whether the first page is loaded. */
  isLoaded = false;
  #client;
  #chats = new Map(); // id → the chat as the HTTP API lists it
  #sorted = null;
  #next = null; // the cursor of the next page
  #ranks = new Map(); // id → number, the order of activity within a second: the highest is first
  #highest = 0;
  #lowest = 0;
  #readHere = new Map(); // id → the seq up to which the user has read a chat on this client
  #wanted = null; // "first": read the first page soon; "all": every page that is loaded
  #timer = null;
  #notBefore = 0;
  #isReading = false;

  constructor(client) {
    super();
    this.#client = client;
    if (client.state === "live") this._reload();
  }

  /** The chats as the HTTP API lists them (`GET /api/v1/chats?order=activity`); a new array after every change. */
  get items() {
    return (this.#sorted ??= [...this.#chats.values()].sort((one, other) => this.#compare(one, other)));
  }

  get hasMore() {
    return this.#next !== null;
  }

  get(id) {
    return this.#chats.get(id);
  }

  /** Reads the next page, of chats that are older. Rejects with Rejected or Disconnected. */
  async loadMore() {
    if (this.#next === null) return;
    const cursor = this.#next;
    const page = await this.#page(cursor);
    if (cursor !== this.#next) return;
    this.#next = page.next;
    for (const { id } of page.chats) this.#ranks.set(id, (this.#lowest -= 1));
    this.#takePage(page.chats);
  }

  /** Reads the list again, as far as it is loaded. */
  _reload() {
    this.#want("all");
  }

  _receive(frame) {
    const { type, chat_id: id } = frame;
    const chat = this.#chats.get(id);
    if (type === "chat_added" || (type === "chat_activity" && !(frame.last_seq <= chat?.last_seq))) this.#want("first");
    else if (type === "chat_removed") this.#remove(id);
    else if (!chat) return;
    else if (type === "message") this.#takeMessage(chat, frame.data);
    else if (type === "reaction") this.#update(chat, { last_seq: Math.max(chat.last_seq, frame.seq) });
    else if (type === "chat_read") {
      this.#readHere.delete(id); // it may have moved back
      this._setUnread(id, frame.unread);
    }
    else if (type === "chat_changed") {
      const { type: _, chat_id: __, ...changes } = frame;
      this.#update(chat, changes);
    }
  }

  /** The user has read a chat here. */
  _read(id, seq) {
    this.#readHere.set(id, seq);
    const chat = this.#chats.get(id);
    if (chat && seq >= chat.last_seq) this._setUnread(id, 0);
  }

  _setUnread(id, unread) {
    const chat = this.#chats.get(id);
    if (chat && chat.unread !== unread) this.#update(chat, { unread, ...(unread === 0 && { mentions: 0 }) });
  }

  #takeMessage(chat, data) {
    const isNew = data.seq > chat.last_seq && !data.is_edited && !data.is_deleted;
    const changes = { last_seq: Math.max(chat.last_seq, data.seq) };
    if (isNew || chat.last_message?.id === data.id) changes.last_message = data;
    if (isNew) {
      changes.last_activity_at = data.timestamp;
      this.#rank([chat]);
    }
    if (isNew && data.sender?.id !== this.#client.me?.id) {
      changes.unread = Math.min(chat.unread + 1, 100);
      if (data.mentions?.includes(this.#client.me?.id)) changes.mentions = Math.min((chat.mentions ?? 0) + 1, 100);
    }
    this.#update(chat, changes);
  }

  /** These chats, in this order, are before all others of the same second. */
  #rank(chats) {
    for (const { id } of [...chats].reverse()) this.#ranks.set(id, (this.#highest += 1));
  }

  #update(chat, changes) {
    this.#take([{ ...chat, ...changes }]);
  }

  #take(chats) {
    for (const chat of chats) this.#chats.set(chat.id, chat);
    this.#sorted = null;
    this._changed();
  }

  #remove(id) {
    this.#chats.delete(id);
    this.#take([]);
  }

  #want(what) {
    if (this.#wanted !== "all") this.#wanted = what;
    if (this.#isReading) return;
    this.#timer ??= setTimeout(() => this.#read(), Math.max(0, this.#notBefore - Date.now()));
  }

  async #read() {
    this.#timer = null;
    const what = this.#wanted;
    this.#wanted = null;
    this.#isReading = true;
    let pauseMs = REFRESH_MS;
    try {
      await (what === "all" ? this.#readAll() : this.#readFirst());
    } catch (error) {
      this.#wanted ??= what;
      pauseMs = Math.max(RETRY_MS, 1000 * (error.retryAfterS ?? 0));
      this._emit("problem", error);
    }
    this.#isReading = false;
    this.#notBefore = Date.now() + pauseMs;
    if (this.#client.state !== "live") this.#wanted = null; // the next connection reads everything
    if (this.#wanted !== null) this.#want(this.#wanted);
  }

  async #readFirst() {
    const { chats } = await this.#page(null);
    this.#rank(chats);
    this.#takePage(chats);
  }

  async #readAll() {
    const chats = [];
    let next = null;
    for (let page = 0; page === 0 || (next !== null && chats.length < this.#chats.size && page < MAX_PAGES); page += 1) {
      const found = await this.#page(next);
      chats.push(...found.chats);
      next = found.next;
    }
    const ids = new Set(chats.map(({ id }) => id));
    for (const id of this.#chats.keys()) if (!ids.has(id)) this.#chats.delete(id);
    this.#next = next;
    this.isLoaded = true;
    this.#rank(chats);
    this.#takePage(chats);
  }

  /** A page may be older than what has been pushed meanwhile. */
  #takePage(chats) {
    const isNews = ({ id, last_seq: seq }) => !(this.#chats.get(id)?.last_seq > seq);
    const isRead = ({ id, last_seq: seq }) => this.#readHere.get(id) >= seq;
    this.#take(chats.filter(isNews).map((chat) => (isRead(chat) ? { ...chat, unread: 0, mentions: 0 } : chat)));
  }

  #page(cursor) {
    const from = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    return this.#client.call("GET", `/api/v1/chats?order=activity&limit=${PAGE}${from}`);
  }

  _close() {
    clearTimeout(this.#timer);
    this.#timer = this.#wanted = null;
  }

  #compare(one, other) {
    if (one.pinned !== other.pinned) return one.pinned ? -1 : 1;
    const [a, b] = [one.last_activity_at, other.last_activity_at];
    if (a === b) return this.#ranks.get(other.id) - this.#ranks.get(one.id);
    return a < b ? 1 : -1;
  }
}
