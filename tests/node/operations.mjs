/**
 * Operations on clients of `clients/js`, in any runtime. A client has a name; a chat is that of a client. What happens
 * is read with `chat`, `client` and `chats`.
 */

import { Client } from "../../clients/js/index.js";

let given = {}; // {say(frame), WebSocket}
const clients = new Map(); // name → {client, whys, events, opened, problems, pushes}

/** Storage that outlives a client of this process. */
const kept = new Map();
const storage = {
  all: async (user) => [...kept.values()].map((text) => JSON.parse(text)).filter((item) => item.user === user),
  put: async (item) => void kept.set(item.key, JSON.stringify(item)),
  delete: async (key) => void kept.delete(key),
};

function tokenSource(tokens, whys) {
  if (!Array.isArray(tokens)) return tokens;
  return async (why) => {
    whys.push(why);
    const token = tokens.length > 1 ? tokens.shift() : tokens[0];
    if (token === null) throw new Error("no token");
    return token;
  };
}

const jsonOf = (value) => (value instanceof Map ? Object.fromEntries(value) : value);
const clientOf = (name) => clients.get(name).client;

const operations = {
  /** `token`: a text, null, or a list that a function returns one by one; null in it is a failure. */
  create(name, url, token, { isBlocked = false, isKept = false, isTold = false, ...options } = {}) {
    const one = { whys: [], events: [], opened: new Map(), problems: [], pushes: [] };
    const Socket = isBlocked ? Blocked : given.WebSocket;
    one.client = new Client(url, {
      token: tokenSource(token, one.whys),
      WebSocket: Socket,
      storage: isKept ? storage : null,
      ...options,
    });
    one.client.on("direct", (data) => one.pushes.push({ type: "direct", data }));
    one.client.on("push", (frame) => one.pushes.push(frame));
    one.isTold = isTold;
    clients.set(name, one);
  },
  open(name, chatId, options) {
    const one = clients.get(name);
    const chat = one.client.chat(chatId);
    if (!one.opened.has(chatId)) {
      chat.on("event", (frame) => (one.isTold ? given.say({ client: name, event: frame }) : one.events.push(frame)));
      chat.on("problem", (problem) => one.problems.push(problem));
      if (one.isTold) {
        const tell = () => given.say({ client: name, event: { type: "state", chat: chat.state, client: one.client.state } });
        chat.on("change", tell);
        one.client.on("change", tell);
      }
    }
    one.opened.set(chatId, chat.open(options));
  },
  release: (name, chatId) => clients.get(name).opened.get(chatId)(),
  keyed: async (name, key) => (await clientOf(name).chat(key)).id,
  act: async (name, chatId, method, ...rest) => await clientOf(name).chat(chatId)[method](...rest),
  use: async (name, method, ...rest) => await clientOf(name)[method](...rest),
  chat(name, chatId) {
    const { state, error, info, held, presence, readSeqs, isLoading, messages, hasOlder, position, typing } = clientOf(name).chat(chatId);
    const { isSending, hasUnsent } = clientOf(name).chat(chatId);
    const shown = { state, error, info, held, isLoading, messages, hasOlder, position, isSending, hasUnsent };
    const users = jsonOf(presence.users);
    return { ...shown, presence: { ...presence, users }, readSeqs: jsonOf(readSeqs), typing: jsonOf(typing) };
  },
  client(name) {
    const { client, whys, events, problems, pushes } = clients.get(name);
    const { state, closeCode, me, online } = client;
    return { state, closeCode, me, online: jsonOf(online), whys, events, problems, pushes, kept: kept.size };
  },
  chats(name) {
    const { isLoaded, items, hasMore } = clientOf(name).chats;
    return { isLoaded, items, hasMore };
  },
  loadMore: async (name) => await clientOf(name).chats.loadMore(),
  /** Ends a client as the end of its page does: without a word to the gateway, and its storage remains. */
  forget: (name) => clientOf(name).suspend(),
};

/** A network that lets no WebSocket through. */
class Blocked {
  readyState = 3;

  constructor() {
    setTimeout(() => this.onclose({ code: 1006, reason: "" }), 0);
  }

  close() {}
}

/** From now on `say(frame)` takes what is told, and clients are given `WebSocket`, or that of the runtime. */
export function begin(runtime) {
  given = runtime;
}

/** Does `{id, do, with: [...]}` and says `{id, result}` or `{id, error}`; not awaited: a command that waits must not delay the next. */
export function answer({ id, do: operation, with: parts }) {
  Promise.resolve()
    .then(() => operations[operation](...parts))
    .then(
      (result) => given.say({ id, result: result ?? null }),
      ({ name, code, message }) => given.say({ id, error: { name, code: code ?? null, message } }),
    );
}
