/** The HTTP calls of a chat client. Errors are whole sentences that can be shown to the user. */

const REQUEST_MS = 15_000;

/** The user of one of our own access tokens, as `{id, username}`. The token is not verified: the server does that. */
export function userOf(token) {
  const payload = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  const { sub, username } = JSON.parse(new TextDecoder().decode(Uint8Array.from(payload, (byte) => byte.charCodeAt(0))));
  return { id: Number(sub), username };
}

/** A failed HTTP call. `message` is a sentence, `code` is for programs, `status` 0 means unreachable. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * The HTTP calls, authenticated by `token` or else by the cookie that `login` set. They reject with ApiError.
 *
 * `refreshToken` renews the login without the password; each renewal replaces it.
 */
export class Api {
  #base;
  #fetch;

  constructor({ base = "", token = null, refreshToken = null, fetch = globalThis.fetch } = {}) {
    this.token = token;
    this.refreshToken = refreshToken;
    this.#base = base.replace(/\/$/, "");
    this.#fetch = fetch.bind(globalThis);
  }

  register(account) {
    return this.#call("POST", "/register", account);
  }

  /** Resolves to the response and uses its tokens from then on. */
  async login(login, password, otp = "") {
    return this.#use(await this.#call("POST", "/login", { login, password, otp, refresh: "body" }));
  }

  /** Renews the login: resolves to the response and uses its tokens from then on. 401: the session has ended. */
  async refresh() {
    return this.#use(await this.#call("POST", "/api/v1/login/refresh", { refresh_token: this.refreshToken }));
  }

  /** Ends the session on every node, and clears the cookie that `login` set. */
  logout() {
    return this.#call("POST", "/api/v1/logout", this.refreshToken ? { refresh_token: this.refreshToken } : undefined);
  }

  /** Resolves to a page of the user's chats, `{chats, next}`, the newest first; `next` is the cursor of the one after. */
  chats(cursor = null) {
    return this.#call("GET", `/api/v1/chats?limit=100${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
  }

  chat(id) {
    return this.#call("GET", `/api/v1/chats/${id}`);
  }

  /** Creates a direct chat with one other user, or a group with several. */
  createChat(logins) {
    const kind = logins.length === 1 ? "direct" : "group";
    return this.#call("POST", "/api/v1/chats", { kind, members: logins.map((login) => ({ login })) });
  }

  #use(answer) {
    this.token = answer.access_token;
    this.refreshToken = answer.refresh_token;
    return answer;
  }

  async #call(method, path, body) {
    const headers = {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body) headers["Content-Type"] = "application/json";
    const request = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(REQUEST_MS) };
    let response;
    try {
      response = await this.#fetch(this.#base + path, request);
    } catch {
      throw new ApiError(0, "unreachable", "The server cannot be reached. Please check your connection and try again.");
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const sentence = answer.detail ?? answer.title ?? `The server could not do this (status ${response.status}).`;
    throw new ApiError(response.status, answer.code ?? "", sentence);
  }
}
