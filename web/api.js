/** The calls of the login. Errors are whole sentences that can be shown to the user; everything else is the client's. */

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

/** `refreshToken` renews the login without the password; each renewal replaces it. The calls reject with ApiError. */
export class AuthApi {
  token = null;
  refreshToken = null;
  #base;

  constructor(base) {
    this.#base = base.replace(/\/$/, "");
  }

  register(account) {
    return this.#call("/register", account);
  }

  /** Resolves to the response and uses its tokens from then on. */
  async login(login, password, otp = "") {
    return this.#use(await this.#call("/login", { login, password, otp, refresh: "body" }));
  }

  /** Renews the login, and uses its new tokens unless the login is another one meanwhile. 401: the session has ended. */
  async refresh() {
    const from = this.refreshToken;
    const answer = await this.#call("/api/v1/login/refresh", { refresh_token: from });
    if (this.refreshToken === from) this.#use(answer);
  }

  /** Ends the session on every node, and clears the cookie that `login` set. */
  logout() {
    return this.#call("/api/v1/logout", this.refreshToken ? { refresh_token: this.refreshToken } : undefined);
  }

  #use(answer) {
    this.token = answer.access_token;
    this.refreshToken = answer.refresh_token;
    return answer;
  }

  async #call(path, body) {
    const headers = {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body) headers["Content-Type"] = "application/json";
    const request = { method: "POST", headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(REQUEST_MS) };
    let response;
    try {
      response = await fetch(this.#base + path, request);
    } catch {
      throw new ApiError(0, "unreachable", "The server cannot be reached. Please check your connection and try again.");
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const sentence = answer.detail ?? answer.title ?? `The server could not do this (status ${response.status}).`;
    throw new ApiError(response.status, answer.code ?? "", sentence);
  }
}
