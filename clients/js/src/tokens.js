import { Disconnected } from "./errors.js";

export const UNAUTHORIZED = 4401;

/**
 * Where the token of a client comes from: a text, null (anonymous), or a function that is called with why.
 *
 * All are of one user: what the first one has written must not be sent with the token of another.
 */
export class Tokens {
  current = null;
  #user = null;
  #source;
  #pending = null;

  constructor(source) {
    this.#source = source;
    if (typeof source !== "function") this.current = source;
  }

  get areRenewed() {
    return typeof this.#source === "function";
  }

  /** The token for `why`: "connect", "expiring" or "rejected". Calls that wait share one. Rejects as the function does, or with Disconnected if it is of another user. */
  get(why) {
    if (!this.areRenewed) return Promise.resolve(this.current);
    this.#pending ??= Promise.resolve(why)
      .then(this.#source)
      .then((token) => {
        const user = userOf(token);
        if (user && user !== (this.#user ??= user)) throw new Disconnected(UNAUTHORIZED);
        return (this.current = token);
      })
      .finally(() => (this.#pending = null));
    return this.#pending;
  }
}

/** Whose token it is; null if that cannot be read: then only the gateway knows. */
function userOf(token) {
  try {
    const { iss, sub } = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    return `${iss} ${sub}`;
  } catch {
    return null;
  }
}
