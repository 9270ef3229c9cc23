/** Where the token of a client comes from: a text, null (anonymous), or a function that is called with why. */
export class Tokens {
  current = null;
  #source;
  #pending = null;

  constructor(source) {
    this.#source = source;
    if (typeof source !== "function") this.current = source;
  }

  get areRenewed() {
    return typeof this.#source === "function";
  }

  /** The token for `why`: "connect", "expiring" or "rejected". Calls that wait share one. Rejects as the function does. */
  get(why) {
    if (!this.areRenewed) return Promise.resolve(this.current);
    this.#pending ??= Promise.resolve(why)
      .then(this.#source)
      .then((token) => (this.current = token))
      .finally(() => (this.#pending = null));
    return this.#pending;
  }
}
