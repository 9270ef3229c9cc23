/**
 * Unsent commands survive a reload here. Each belongs to one page, its owner, which holds a lock while it lives: only
 * when that is free another page of the user takes them over. Without locks two pages may send the same command; under
 * its client_msg_id it is stored once.
 */

export class Outboxes {
  #storage;
  #locks;
  #owner = newId();
  #user = null;
  #early = new Set(); // items of a user who is not known yet
  #waiting = new Set(); // owners whose end is awaited
  #count = 0;
  #release = null; // ends the lock of this page

  /** `storage` has `all(user)`, `put(item)` and `delete(key)`, which return promises; null: memory only. */
  constructor(storage, locks) {
    this.#storage = storage;
    this.#locks = locks;
  }

  /** A new command, with a client_msg_id. `epoch` is the history to which its message id belongs. */
  item(command, epoch) {
    const now = Date.now();
    const key = newId(); // not the client_msg_id: an application may give the same one to two users
    const { client_msg_id = key } = command;
    const order = now + (this.#count++ % 1000) / 1000;
    return { key, frame: { ...command, client_msg_id }, epoch, order, at: new Date(now).toISOString(), error: null };
  }

  save(item) {
    if (this.#user === null) this.#early.add(item);
    else this.#attempt((storage) => storage.put({ ...item, user: this.#user, owner: this.#owner }));
  }

  remove(item) {
    if (!this.#early.delete(item)) this.#attempt((storage) => storage.delete(item.key));
  }

  /** Begins to keep the commands of `user`, and calls `found(items)` with those that pages have left that are gone. */
  async start(user, found) {
    if (!this.#storage) return;
    this.#user = user;
    this.#hold();
    for (const item of this.#early) this.save(item);
    this.#early.clear();
    const owners = new Set((await this.#all()).map(({ owner }) => owner));
    for (const owner of owners) if (owner !== this.#owner) this.#adopt(owner, found);
  }

  /** Lets other pages take over what this one has not sent. */
  stop() {
    this.#release?.();
    this.#release = null;
  }

  #hold() {
    if (!this.#locks || this.#release) return;
    const held = new Promise((resolve) => (this.#release = resolve));
    this.#locks.request(nameOf(this.#owner), () => held).catch(() => {});
  }

  async #adopt(owner, found) {
    if (this.#waiting.has(owner)) return;
    this.#waiting.add(owner);
    const take = async () => {
      const items = (await this.#all()).filter((item) => item.owner === owner);
      for (const item of items) this.save(item);
      found(items);
    };
    await (this.#locks ? this.#locks.request(nameOf(owner), take) : take()).catch(() => {});
    this.#waiting.delete(owner);
  }

  async #all() {
    const items = (await this.#attempt((storage) => storage.all(this.#user))) ?? [];
    return items.filter(({ user }) => user === this.#user); // a storage that ignores the user must not mix them up
  }

  /** A storage that is blocked or full costs the survival of a reload, and nothing else. */
  async #attempt(use) {
    try {
      return this.#storage && (await use(this.#storage));
    } catch {
      return null;
    }
  }
}

/** 128 random bits in hex. `crypto.randomUUID` exists only on secure origins, and React Native has no `crypto`. */
function newId() {
  const bytes = new Uint8Array(16).map(() => 256 * Math.random());
  globalThis.crypto?.getRandomValues(bytes);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const nameOf = (owner) => `chat-gateway/${owner}`;

/** Keeps items in IndexedDB. */
export class IndexedDbStorage {
  #opening = null;

  all(user) {
    return this.#use("readonly", (store) => store.index("user").getAll(user));
  }

  put(item) {
    return this.#use("readwrite", (store) => store.put(item));
  }

  delete(key) {
    return this.#use("readwrite", (store) => store.delete(key));
  }

  async #use(mode, act) {
    const database = await (this.#opening ??= this.#open());
    return promised(act(database.transaction("unsent", mode).objectStore("unsent")));
  }

  async #open() {
    const request = indexedDB.open("chat-gateway", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("unsent", { keyPath: "key" }).createIndex("user", "user");
    };
    const database = await promised(request);
    const reopen = () => (this.#opening = null); // by the next use
    database.onclose = reopen;
    database.onversionchange = () => {
      database.close();
      reopen();
    };
    return database;
  }
}

function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
