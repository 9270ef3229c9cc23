/** The HTTP calls that a chat client makes. What goes wrong is said in whole sentences, ready to be shown. */

const REQUEST_MS = 15_000;

/** The decimal user id in one of our own access tokens. It is read, not checked: the server does that. */
export function userIdOf(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return Number(JSON.parse(atob(payload)).sub);
}

/** An HTTP call that did not succeed. `message` is a sentence, `code` is for programs, `status` 0 means unreachable. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The HTTP calls. Authenticates by `token`, or without one by the cookie that `login` set. Rejects with ApiError. */
export class Api {
  #base;
  #fetch;

  constructor({ base = "", token = null, fetch = globalThis.fetch } = {}) {
    this.token = token;
    this.#base = base;
    this.#fetch = fetch.bind(globalThis);
  }

  register(account) {
    return this.#call("POST", "/register", account);
  }

  /** Resolves to the server's answer, and uses its token from here on. */
  async login(login, password) {
    const answer = await this.#call("POST", "/login", { login, password });
    this.token = answer.access_token;
    return answer;
  }

  async chats() {
    return (await this.#call("GET", "/api/v1/chats")).chats;
  }

  chat(id) {
    return this.#call("GET", `/api/v1/chats/${id}`);
  }

  /** A direct chat with one other user, a group with several. */
  createChat(logins) {
    const kind = logins.length === 1 ? "direct" : "group";
    return this.#call("POST", "/api/v1/chats", { kind, members: logins.map((login) => ({ login })) });
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
