/**
 * What is not sent yet, for the client: it survives a reload of this window and the next login in it, and ends with it.
 * Not IndexedDB: on a shared computer the texts of one person would stay readable for the next.
 */

import { kept } from "./kept.js";

const KEY = "chat-unsent";

export class Unsent {
  /** The number of things that `user` has not sent, or that were rejected. */
  count(user) {
    return Object.values(this.#read()).filter((item) => item.user.endsWith(` ${user.id} ${user.username}`)).length;
  }

  async all(user) {
    return Object.values(this.#read()).filter((item) => item.user === user);
  }

  async put(item) {
    this.#write({ ...this.#read(), [item.key]: item });
  }

  async delete(key) {
    const { [key]: _, ...others } = this.#read();
    this.#write(others);
  }

  #read() {
    return JSON.parse(kept.getItem(KEY) ?? "{}");
  }

  #write(items) {
    kept.setItem(KEY, JSON.stringify(items));
  }
}
