/** One WebSocket with JSON frames and a timeout: a link that is silent when a frame is due counts as closed. */

const PING_MS = 25_000;
const ANSWER_MS = 10_000;
/** Without a browser, a handshake is rejected by an HTTP status instead of a close code; `ws` reports it. */
const CODE_OF_STATUS = { 401: 4401, 403: 4403, 409: 4409, 429: 4429 };
const ABNORMAL = 1006; // the code of a browser for a connection that ended without a close frame

export class Link {
  #socket;
  #isOpen = true;
  #closed;
  #timer;
  #due = Infinity;
  #pings;

  /** Connects. `receive(frame)` and, once, `closed(code, reason)` are called until `close` is. */
  constructor(WebSocket, url, protocols, { receive, closed }) {
    this.#closed = closed;
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onmessage = ({ data }) => {
      if (!this.#isOpen) return;
      this.#answered();
      receive(JSON.parse(data));
    };
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#socket.onerror = ({ message }) => this.#failed(message); // without a listener `ws` would end the process
    this.expectAnswer();
  }

  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Tests the link now, with `answerMs` for the response. */
  ping(answerMs = ANSWER_MS) {
    this.send({ type: "ping" });
    this.expectAnswer(answerMs);
  }

  /** Tests the link every 25 s from now on. */
  keepAlive() {
    this.#pings = setInterval(() => this.ping(), PING_MS);
  }

  /** The link counts as closed unless a frame arrives within `ms`, or sooner if one was already due earlier. */
  expectAnswer(ms = ANSWER_MS) {
    if (this.#due <= Date.now() + ms) return;
    clearTimeout(this.#timer);
    this.#due = Date.now() + ms;
    this.#timer = setTimeout(() => this.#end(ABNORMAL, ""), ms);
  }

  /** Closes the link; no callback is called afterwards. */
  close() {
    this.#isOpen = false;
    this.#answered();
    clearInterval(this.#pings);
    this.#socket.close();
  }

  /** Records the status of a rejected handshake, which the following close event does not have. */
  #failed(message = "") {
    const code = CODE_OF_STATUS[/response: (\d{3})$/.exec(message)?.[1]];
    if (code) this.#end(code, "");
  }

  #answered() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  #end(code, reason) {
    if (!this.#isOpen) return;
    this.close();
    this.#closed(code, reason);
  }
}
