/** The server as an operator sees it: HTTP calls with a service key. */

import { t } from "./words.js";

const TIMEOUT_MS = 10_000;

/** An answer other than a success; `status` is 0 if there was none. */
export class CallFailed extends Error {
  constructor(status, code, sentence) {
    super(sentence);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  #base;
  #key;

  /** `base` is the URL of the server, with a slash at its end. */
  constructor(base, key) {
    this.#base = base;
    this.#key = key;
  }

  /** The address of a WebSocket. */
  socketUrl(path) {
    return this.#base.replace(/^http/, "ws") + path;
  }

  get(path, headers = {}) {
    return this.#call("GET", path, undefined, headers);
  }

  post(path, body, headers = {}) {
    return this.#call("POST", path, body, headers);
  }

  put(path, body) {
    return this.#call("PUT", path, body, {});
  }

  delete(path) {
    return this.#call("DELETE", path, undefined, {});
  }

  /** The JSON of the answer, or null if it has none. Throws `CallFailed`. */
  async #call(method, path, body, headers) {
    const options = { method, headers: { "X-Service-Key": this.#key, ...headers }, credentials: "omit", cache: "no-store" };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers["Content-Type"] = "application/json";
    }
    let answer;
    try {
      answer = await fetch(this.#base + path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
    } catch {
      throw new CallFailed(0, "unreachable", t("The server does not answer."));
    }
    const text = await answer.text().catch(() => "");
    let value = null;
    try {
      value = JSON.parse(text);
    } catch {
      // an answer without a body, or not from the gateway
    }
    if (!answer.ok) throw new CallFailed(answer.status, value?.code ?? "", value?.detail ?? t("The server answered with {status}.", { status: answer.status }));
    return value;
  }
}
