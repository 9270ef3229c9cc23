/** Typing in a chat: notifications of the user's own typing, and the others who are typing. */

const REPEAT_MS = 2_000; // the server forwards typing every 2 s
const IDLE_MS = 3_000; // as in the seed's own client
const SHOWN_MS = 6_000; // others are removed after this time without a notification

export class Typing {
  typists = new Map(); // user id → username
  #notify;
  #changed;
  #sentAt = 0;
  #idleTimer;
  #timers = new Map();

  /** `notify(isTyping)` sends the user's state if possible and returns whether it did; `changed` reports the others. */
  constructor(notify, changed) {
    this.#notify = notify;
    this.#changed = changed;
  }

  /** Notifies when typing starts, every 2 s while it lasts, and when it stops, 3 s after the last call. */
  set(isTyping) {
    clearTimeout(this.#idleTimer);
    if (isTyping) this.#idleTimer = setTimeout(() => this.set(false), IDLE_MS);
    const isNews = isTyping ? Date.now() - this.#sentAt >= REPEAT_MS : this.#sentAt > 0;
    if (isNews && this.#notify(isTyping)) this.#sentAt = isTyping ? Date.now() : 0;
  }

  take({ user_id: id, username, is_typing: isTyping }) {
    this.forget(id);
    if (!isTyping) return;
    this.typists.set(id, username);
    const expire = () => {
      this.forget(id);
      this.#changed();
    };
    this.#timers.set(id, setTimeout(expire, SHOWN_MS));
  }

  forget(id) {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.typists.delete(id);
  }

  clear() {
    clearTimeout(this.#idleTimer);
    for (const id of [...this.typists.keys()]) this.forget(id);
    this.#sentAt = 0;
  }
}
