/** One WebSocket with JSON frames. One that is silent while a frame is due counts as lost. */

const PING_MS = 25_000;
const ANSWER_MS = 10_000;
export const LOST = 1006; // what a browser reports for a connection that ended without a close frame
const CODES = { 400: 4401, 401: 4401, 403: 4403, 404: 4403 }; // outside of browsers a rejected handshake has a status

export class Socket {
  #socket;
  #closed;
  #isOpen = true;
  #deadline;
  #due = Infinity;
  #pings;

  /** Connects. `opened()`, `receive(frame)` and, once, `closed(code, reason)` are called until `close` is. */
  constructor({ url, clientId, token, WebSocket, opened, receive, closed }) {
    const address = `${url.replace(/^http/, "ws")}/ws/${encodeURIComponent(clientId)}?refresh=1`;
    this.#closed = closed;
    this.#socket = new WebSocket(address, token === null ? [] : ["bearer", token]);
    this.#socket.onopen = () => {
      if (!this.#isOpen) return;
      this.#pings = setInterval(() => this.probe(), PING_MS);
      opened();
    };
    this.#socket.onmessage = ({ data }) => {
      if (!this.#isOpen) return;
      this.#heard();
      receive(JSON.parse(data));
    };
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#socket.onerror = ({ message = "" }) => {
      const code = CODES[/response: (\d{3})$/.exec(message)?.[1]];
      if (code) this.#end(code, "");
    };
    this.#expect(ANSWER_MS);
  }

  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Tests the connection: without a frame within `ms` it is lost. */
  probe(ms = ANSWER_MS) {
    if (this.#socket.readyState !== 1) return;
    this.send({ type: "ping" });
    this.#expect(ms);
  }

  /** Closes the connection; nothing is called afterwards. */
  close() {
    this.#isOpen = false;
    this.#heard();
    clearInterval(this.#pings);
    this.#socket.close();
  }

  #expect(ms) {
    if (this.#due <= Date.now() + ms) return;
    clearTimeout(this.#deadline);
    this.#due = Date.now() + ms;
    this.#deadline = setTimeout(() => this.#end(LOST, ""), ms);
  }

  #heard() {
    clearTimeout(this.#deadline);
    this.#due = Infinity;
  }

  #end(code, reason) {
    if (!this.#isOpen) return;
    this.close();
    this.#closed(code, reason);
  }
}
