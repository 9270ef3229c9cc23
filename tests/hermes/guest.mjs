/**
 * What runs in Hermes: clients, with what React Native's native side gives to JavaScript. That side is the host: it is sent
 * `native` calls by `print`, and calls `fromHost`.
 */

import { answer, begin } from "../node/operations.mjs";

const FRAME = "\u0001"; // before a line for the host
const tell = (frame) => print(FRAME + JSON.stringify(frame));
const waiting = new Map(); // id → what takes the host's reply
let lastId = 0;

function call(native, ...args) {
  lastId += 1;
  tell({ native, id: lastId, args });
  return lastId;
}

globalThis.queueMicrotask = (work) => void Promise.resolve().then(work);
globalThis.setTimeout = (work, ms = 0) => {
  const id = call("timer", ms);
  waiting.set(id, work);
  return id;
};
globalThis.clearTimeout = (id) => void waiting.delete(id);
globalThis.setInterval = (work, ms) => {
  const interval = {};
  const again = () => (interval.timer = setTimeout(() => work(again()), ms));
  again();
  return interval;
};
globalThis.clearInterval = (interval) => clearTimeout(interval?.timer);
globalThis.AbortController = class {
  signal = { aborted: false };

  abort() {
    this.signal.aborted = true;
  }
};
/** React Native's knows no more than this of an http URL. */
globalThis.URL = class {
  constructor(url) {
    this.href = /^https?:\/\/[^/]+$/.test(url) ? `${url}/` : url;
  }
};
globalThis.fetch = (url, { method, headers, body }) =>
  new Promise((resolve, reject) => {
    waiting.set(call("fetch", url, method, headers, body ?? null), ({ status, text, headers: received }) => {
      if (status === 0) return reject(new TypeError("Network request failed"));
      return resolve({
        status,
        ok: status < 300,
        headers: { get: (name) => received[name.toLowerCase()] ?? null },
        json: async () => JSON.parse(text),
      });
    });
  });

class WebSocket {
  readyState = 0;
  bufferedAmount = 0;
  #id;

  constructor(url, protocols) {
    this.#id = call("open", url, protocols ?? []);
    waiting.set(this.#id, ({ type, ...event }) => {
      if (type === "open") this.readyState = 1;
      if (type === "close") this.readyState = 3;
      this[`on${type}`]?.(event);
    });
  }

  send(data) {
    call("send", this.#id, data);
  }

  close(code, reason) {
    this.readyState = 2;
    call("close", this.#id, code ?? 1000, reason ?? "");
  }
}

/** `{reply, with}` of a native call, or a command of the test. */
globalThis.fromHost = (frame) => {
  if (frame.reply === undefined) return answer(frame);
  const take = waiting.get(frame.reply);
  if (frame.isLast) waiting.delete(frame.reply);
  return take?.(frame.with);
};

begin({ say: tell, WebSocket });
