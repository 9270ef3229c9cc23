import { Disconnected, Rejected } from "./errors.js";

const REQUEST_MS = 30_000;

/** The HTTP API of the gateway, with the client's token. */
export class Http {
  #url;
  #tokens;
  #fetch;

  constructor(url, tokens, fetch) {
    this.#url = url;
    this.#tokens = tokens;
    this.#fetch = fetch;
  }

  /** The response to a request, whatever its status. Rejects with Disconnected if none came, within `ms`. */
  async fetch(method, path, { body, ms, stop = new AbortController(), accept = "application/json" } = {}) {
    const timeout = ms && setTimeout(() => stop.abort(), ms);
    const headers = { Accept: accept };
    if (this.#tokens.current !== null) headers.Authorization = `Bearer ${this.#tokens.current}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, body: body && JSON.stringify(body), signal: stop.signal };
    try {
      return await this.#fetch.call(globalThis, this.#url + path, options);
    } catch {
      throw new Disconnected(1006);
    } finally {
      clearTimeout(timeout);
    }
  }

  /**
   * The JSON of a successful response; null if it has none. After 401 it is sent once more, with a new token.
   *
   * Rejects with Rejected, or with Disconnected.
   */
  async call(method, path, body) {
    if (this.#tokens.current === null) await this.#tokens.get("connect");
    let response = await this.#send(method, path, body);
    if (response.status === 401 && this.#tokens.areRenewed) {
      await this.#tokens.get("rejected");
      response = await this.#send(method, path, body);
    }
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    const { status } = response;
    const retryAfterS = Number(response.headers.get("Retry-After")) || null;
    throw new Rejected(answer?.code ?? "unavailable", answer?.detail ?? `HTTP ${status}`, { status, retryAfterS });
  }

  #send(method, path, body) {
    return this.fetch(method, path, { body, ms: REQUEST_MS });
  }
}
