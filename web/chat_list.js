/** The chats of a user, read page by page, so that a refresh costs two requests however many there are. */

const MAX_PAGES = 10; // of 100 chats; a user's older chats are not listed

export class ChatList {
  #api;
  #chats = new Map(); // id → chat as listed by the HTTP API
  #older = null; // where the next of the older pages begins; null: after the newest one
  #isWhole = false; // whether every page has been read once
  #current = null; // the read under way
  #waiting = null; // the read that follows it

  constructor(api) {
    this.#api = api;
  }

  /**
   * Resolves to all chats, the oldest first, as they were after this call. The first time it reads every page, later the
   * newest page and one of the others in turn. Rejects with ApiError.
   */
  read() {
    this.#waiting ??= Promise.resolve(this.#current).catch(() => {}).then(() => {
      this.#current = this.#waiting;
      this.#waiting = null;
      return this.#load();
    });
    return this.#waiting;
  }

  async #load() {
    const next = await this.#page({ cursor: null, below: Infinity, number: 1 });
    this.#older ??= next;
    while (this.#older) {
      this.#older = await this.#page(this.#older);
      if (this.#isWhole) break;
    }
    this.#isWhole = true;
    return [...this.#chats.values()].sort((one, other) => one.id - other.id);
  }

  /** Reads the page at a place, which replaces what is known of its part of the list; returns the place after it. */
  async #page({ cursor, below, number }) {
    const { chats, next } = await this.#api.chats(cursor);
    const isLast = next === null || number === MAX_PAGES;
    const lowest = isLast ? 0 : chats.at(-1).id;
    for (const id of this.#chats.keys()) if (id < below && id >= lowest) this.#chats.delete(id);
    for (const chat of chats) this.#chats.set(chat.id, chat);
    return isLast ? null : { cursor: next, below: lowest, number: number + 1 };
  }
}
