/**
 * The login of this window: its tokens, kept until the window closes, and their renewal.
 *
 * The token is kept per window, not only in the cookie that login sets: all windows of a browser share their cookies,
 * and two windows may have two users here. A copy of a tab has its refresh token, which is used once: a tab that renews
 * passes the new one on to the others.
 */

import { kept } from "./kept.js";

const TOKEN = "chat-token";
const RENEWAL = "chat-refresh-token";
const RENEWAL_MS = 10_000; // a token that is refused so soon after its renewal would be refused again
const ENDED = "Your session has ended. Please log in again.";

export class Session {
  #api;
  #ended;
  #given = null; // the token that the client has
  #renewedAt = -Infinity; // ms
  #login = 0; // its number in this window
  #renewals = new BroadcastChannel("chat-renewals"); // from any tab of this origin to the others

  /** `ended(sentence)` is called when the server accepts neither the token nor its renewal. */
  constructor(api, ended) {
    this.#api = api;
    this.#ended = ended;
    api.token = kept.getItem(TOKEN);
    api.refreshToken = kept.getItem(RENEWAL);
    this.#renewals.onmessage = ({ data }) => {
      if (!api.refreshToken || data.from !== api.refreshToken) return;
      api.token = data.token;
      api.refreshToken = data.refreshToken;
      this.keep();
    };
  }

  get isOpen() {
    return Boolean(this.#api.token);
  }

  /** Keeps the tokens that a login has brought. */
  keep() {
    this.#renewedAt = performance.now();
    kept.setItem(TOKEN, this.#api.token);
    kept.setItem(RENEWAL, this.#api.refreshToken);
  }

  /** Begins with the tokens of a new login. */
  begin() {
    this.#login += 1;
    this.keep();
    this.#renewedAt = -Infinity;
  }

  forget() {
    this.#login += 1;
    kept.removeItem(TOKEN);
    kept.removeItem(RENEWAL);
    this.#api.token = this.#api.refreshToken = this.#given = null;
  }

  /**
   * The function that gives a client of the present login its tokens. It rejects if there is none now, or once the login
   * has ended: what a client has under way then is never repeated with the token of the next user of this window.
   */
  tokens() {
    const login = this.#login;
    return (why) => this.#token(why, login);
  }

  async #token(why, login) {
    if (login !== this.#login) throw new Error(ENDED);
    if (why !== "connect" && this.#given === this.#api.token) await this.#renew(login);
    this.#given = this.#api.token;
    return this.#given;
  }

  async #renew(login) {
    const from = this.#api.refreshToken;
    if (!from || performance.now() - this.#renewedAt < RENEWAL_MS) return this.#end(ENDED);
    try {
      await this.#api.refresh();
    } catch (error) {
      const isRefused = error.status >= 400 && error.status < 500 && error.status !== 429;
      if (isRefused && this.#api.refreshToken === from) this.#end(error.status === 403 ? error.message : ENDED);
      throw error;
    }
    if (login !== this.#login) throw new Error(ENDED);
    this.keep();
    this.#renewals.postMessage({ from, token: this.#api.token, refreshToken: this.#api.refreshToken });
  }

  #end(sentence) {
    this.#ended(sentence);
    throw new Error(sentence);
  }
}
