/** Who is in a chat: the users who are connected to it, those who are typing, and notifications of the user's own typing. */

const REPEAT_MS = 2_000; // the gateway forwards it every 2 s
const IDLE_MS = 3_000;
const SHOWN_MS = 6_000; // others are removed after this time without a notification

/** Nobody. `users` is empty while more than 50 users are connected. */
export const NOBODY = { count: 0, users: new Map() };

/** Who is connected after a push, or as the members of a `presence` reply say. */
export function presenceAfter({ users }, change) {
  if (change.type === "presence_count") return { count: change.count, users: new Map() };
  const after = new Map(Array.isArray(change) ? change.map((member) => [member.user_id, nameOf(member)]) : users);
  if (change.status === "join") after.set(change.user_id, nameOf(change));
  else after.delete(change.user_id);
  return { count: after.size, users: after };
}

export class Typing {
  /** user id → name; a new one after every change */
  users = new Map();
  #notify;
  #changed;
  #sentAt = 0;
  #idle;
  #timers = new Map();

  /** `notify(isTyping)` sends the user's own state, `changed()` reports the others. */
  constructor(notify, changed) {
    this.#notify = notify;
    this.#changed = changed;
  }

  /** Call it at every keystroke: notifies when typing starts, while it lasts, and 3 s after the last call. */
  set(isTyping) {
    clearTimeout(this.#idle);
    if (isTyping) this.#idle = setTimeout(() => this.set(false), IDLE_MS);
    const isNews = isTyping ? Date.now() - this.#sentAt >= REPEAT_MS : this.#sentAt > 0;
    if (!isNews) return;
    this.#sentAt = isTyping ? Date.now() : 0;
    this.#notify(isTyping);
  }

  take(frame) {
    const id = frame.user_id;
    this.forget(id);
    if (!frame.is_typing) return;
    this.users = new Map(this.users).set(id, nameOf(frame));
    this.#timers.set(id, setTimeout(() => this.forget(id), SHOWN_MS));
    this.#changed();
  }

  forget(id) {
    if (!this.users.has(id)) return;
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.users = new Map(this.users);
    this.users.delete(id);
    this.#changed();
  }

  clear() {
    clearTimeout(this.#idle);
    this.#sentAt = 0;
    for (const id of this.users.keys()) this.forget(id);
  }
}

/** The name of a user in a push, as people see it. */
function nameOf({ display_name: name, username }) {
  return name ?? username;
}
