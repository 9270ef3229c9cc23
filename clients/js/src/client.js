import { Chat } from "./chat.js";
import { ChatList } from "./chat_list.js";
import { Emitter } from "./emitter.js";
import { Disconnected, Rejected } from "./errors.js";
import { EventStream } from "./event_stream.js";
import { Http } from "./http.js";
import { RETRY_S, TEMPORARY } from "./outbox.js";
import { followPage } from "./page_events.js";
import { fullJitter, hintOf, mayReconnect } from "./reconnect.js";
import { LOST, Socket } from "./socket.js";
import { IndexedDbStorage, Outboxes } from "./storage.js";
import { Tokens, UNAUTHORIZED } from "./tokens.js";

const REPLY_MS = 30_000; // a command without a reply for so long is sent again over another connection
const STABLE_MS = 5_000; // a connection that lasted this long starts the delays anew
const KEPT_CHATS = 30; // chats that nobody has open, whose messages are kept
const MAX_FAILED = 2; // handshakes without a greeting, then an event stream is tried in their place
const HELLO = 0; // the id of the first command of each connection
const DRAIN = 4000;

/**
 * A user's chats over one connection that renews itself.
 *
 * Fires `change` (its state, `me`, `online`), `direct` (the data that a service sent to the user), and `push` (every
 * other push that belongs to none of its chats).
 */
export class Client extends Emitter {
  /** "connecting", "live", "waiting" for the next attempt, or "closed" until `connect` is called. */
  state = "connecting";
  /** The close code of the last connection, if there is none now (docs/protocol.md, "Close codes"). */
  closeCode = null;
  /** While it waits: when the next attempt is made, in ms since 1970. */
  retryAt = null;
  /** Since when there is no connection, in ms since 1970; null while there is one. */
  lostAt = null;
  /** The user, as the sender of messages; only `{id}` until the rest is loaded, null before the first connection. */
  me = null;
  /** The node that serves the connection, and the longest text in code points; null before the first connection. */
  node = null;
  maxTextLength = null;
  /** user id → `{user_id, online, last_seen_at}` of the users of `watchPresence` */
  online = new Map();
  _chats = null;
  _outboxes;
  #parts;
  #tokens;
  #http;
  #known = new Map(); // id → Chat, those that were closed last at the end
  #link = null;
  #why = "connect";
  #attempt = 0; // of the delay
  #failed = 0; // handshakes in a row
  #isHinted = false; // whether the gateway has said when the next attempt may be made
  #timers = {};
  #replies = new Map(); // id → function that takes the reply, or null if the connection is lost
  #nextId = HELLO + 1;
  #waiting = []; // those who wait until it is live: {resolve, reject}
  #watched = [];
  #unfollow;
  #connection = 0; // its number: what belongs to an earlier one is ignored
  #isUserKnown = false;

  /**
   * Connects. `url` is that of the gateway; without `token` the client is anonymous and reads public chats.
   *
   * `token` is a text, or a function that returns a promise of one. It is called with why: "connect", "expiring" (the
   * connection goes on with the new token) or "rejected".
   */
  constructor(url, { token = null, clientId = "js", storage, ...parts } = {}) {
    super();
    const { WebSocket = globalThis.WebSocket, fetch = globalThis.fetch, random = Math.random } = parts;
    const { locks = globalThis.navigator?.locks } = parts;
    this.#tokens = new Tokens(token);
    this.#parts = { url: new URL(url).href.replace(/^ws/, "http").replace(/\/$/, ""), clientId, WebSocket, random };
    this.#http = new Http(this.#parts.url, this.#tokens, fetch);
    const kept = storage === undefined && globalThis.indexedDB ? new IndexedDbStorage() : storage;
    this._outboxes = new Outboxes(kept ?? null, locks);
    this.#unfollow = followPage(this);
    this.#start();
  }

  /** The user's chats, a live list; it is read from the first use on. */
  get chats() {
    return (this._chats ??= new ChatList(this));
  }

  /** A chat by its id; by its key, a promise of it, which rejects with Rejected or Disconnected. */
  chat(ref) {
    if (typeof ref === "number") {
      if (!this.#known.has(ref)) this.#known.set(ref, new Chat(this, ref));
      return this.#known.get(ref);
    }
    return this.call("GET", `/api/v1/chats/key:${encodeURIComponent(ref)}`).then(({ id }) => this.chat(id));
  }

  /** Connects again after the connection was closed for good. No effect otherwise. */
  connect() {
    if (this.state !== "closed") return;
    this.#attempt = 0;
    this.#start();
  }

  /** Ends the connection. What is not sent is kept in the storage, and its promises reject with Disconnected. */
  close() {
    this.#unfollow();
    this.#end(1000);
    this._outboxes.stop();
    for (const chat of this.#known.values()) chat._outbox.abandon(new Disconnected(1000));
  }

  /** The JSON that an HTTP call responds with (docs/server-api.md). Rejects with Rejected or Disconnected. */
  call(method, path, body) {
    return this.#http.call(method, path, body);
  }

  /**
   * The reply to any command of `/ws/{client_id}`; sent again after a lost connection, so it must be one that may be
   * repeated. Rejects with Rejected, or with Disconnected.
   */
  async command(type, fields = {}) {
    for (;;) {
      await this.#untilLive();
      const reply = await this._request({ ...fields, type });
      if (reply === null) continue;
      if (reply.type !== "error") return reply;
      const { code, message, retry_after_s: retryAfterS = RETRY_S } = reply;
      if (!TEMPORARY.has(code)) throw new Rejected(code, message);
      await this._sleep(retryAfterS);
    }
  }

  /** Follows whether these users are online, up to 100 with whom the user shares a chat, in place of earlier ones. */
  watchPresence(userIds) {
    this.#watched = [...userIds];
    this.#watch();
  }

  /** Connects at once if it waits, unless the gateway asked it to; else tests the connection. */
  wake() {
    if (this.state !== "waiting") this.probe();
    else if (!this.#isHinted) this.#start();
  }

  /** Tests the connection: without a response within `ms` it is lost. */
  probe(ms) {
    if (this.state === "live") this.#link.probe(ms);
  }

  /** Gives up the connection while the page is away; `resume` takes it up again. */
  suspend() {
    if (this.state === "closed") return;
    this.#drop();
    this._outboxes.stop();
    this.#isHinted = true; // by nothing but `resume`
    this.#set({ state: "waiting", closeCode: 1001, retryAt: null, lostAt: this.lostAt ?? Date.now() });
  }

  resume() {
    if (this.state === "waiting" && this.retryAt === null) this.#start();
  }

  // --- for its chats

  /** The reply to one attempt; null if there is no connection, or it is lost before the reply comes. */
  _request(frame) {
    if (this.state !== "live") return Promise.resolve(null);
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const timeout = setTimeout(() => this.#lost(LOST), REPLY_MS);
      this.#replies.set(id, (reply) => {
        clearTimeout(timeout);
        this.#replies.delete(id);
        resolve(reply);
      });
      this.#link.send({ ...frame, id });
    });
  }

  _sleep(seconds) {
    return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }

  /** Nobody has this chat open any more: the messages of the last few are kept. */
  _left(chat) {
    this.#known.delete(chat.id);
    this.#known.set(chat.id, chat);
    const idle = [...this.#known.values()].filter((other) => !other.isOpen && other.position !== null);
    for (const other of idle.slice(0, -KEPT_CHATS)) other._forget();
  }

  // --- the connection

  async #start() {
    this.#drop();
    const connection = this.#connection;
    this.#set({ state: "connecting", retryAt: null });
    let token;
    try {
      token = await this.#tokens.get(this.#why);
    } catch (error) {
      if (connection === this.#connection) this.#lost(error instanceof Disconnected ? UNAUTHORIZED : LOST);
      return;
    }
    if (connection !== this.#connection) return;
    const isStream = this.#failed === MAX_FAILED;
    this.#failed += isStream ? -1 : 1; // a stream is followed by one handshake
    try {
      this.#link = new (isStream ? EventStream : Socket)({
        ...this.#parts,
        token,
        http: this.#http,
        positionOf: (id) => this.#known.get(id)?.position ?? null,
        opened: () => this.#link.send({ type: "hello", id: HELLO }),
        receive: (frame) => this.#receive(frame),
        // A stream is tried at once: a little later the gateway may be back, and handshakes pass again.
        closed: (code, reason) => this.#lost(code, hintOf(reason) ?? (this.#failed === MAX_FAILED ? 0 : null)),
      });
    } catch (error) {
      this.#lost(error.name === "SyntaxError" ? UNAUTHORIZED : LOST); // the token has characters that no token has
    }
  }

  /** Leaves the present connection, if there is one. */
  #drop() {
    this.#connection += 1;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#link?.close();
    this.#link = null;
    const wasLive = this.state === "live";
    this.state = "waiting"; // what is called from here on must not send
    for (const take of [...this.#replies.values()]) take(null);
    if (wasLive) for (const chat of this.#known.values()) chat._lost();
  }

  #lost(code, hintMs = null) {
    this.#drop();
    const lostAt = this.lostAt ?? Date.now();
    if (code === UNAUTHORIZED && this.#tokens.areRenewed && this.#why !== "rejected") {
      this.#why = "rejected";
      this.#set({ closeCode: code, lostAt });
      this.#start();
    } else if (mayReconnect(code)) {
      if (code === DRAIN) this.#attempt = 0; // a node that drains is no failure
      const delay = hintMs ?? fullJitter(this.#attempt, this.#parts.random);
      if (delay) this.#attempt += 1;
      this.#isHinted = hintMs !== null;
      this.#timers.retry = setTimeout(() => this.#start(), delay);
      this.#set({ state: "waiting", closeCode: code, lostAt, retryAt: Date.now() + delay });
    } else {
      this.#end(code);
    }
  }

  #end(code) {
    this.#drop();
    this._chats?._close();
    this.#why = "connect";
    this.#set({ state: "closed", closeCode: code, retryAt: null, lostAt: this.lostAt ?? Date.now() });
    for (const { reject } of this.#waiting.splice(0)) reject(new Disconnected(code));
  }

  #set(fields) {
    Object.assign(this, fields);
    this._changed();
  }

  #untilLive() {
    if (this.state === "live") return Promise.resolve();
    if (this.state === "closed") return Promise.reject(new Disconnected(this.closeCode));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The gateway has said who the user is: with a token that is not valid, a client is anonymous and not rejected. */
  #greeted({ user_id: userId, authenticated, node, max_text_length: maxTextLength }) {
    if (authenticated !== (this.#tokens.current !== null)) return this.#lost(UNAUTHORIZED);
    if (this.me !== null && userId !== this.me.id) return this.#end(UNAUTHORIZED); // what it holds is the first user's
    this.#why = "connect";
    if (this.#link instanceof Socket) this.#failed = 0;
    this.#timers.stable = setTimeout(() => (this.#attempt = 0), STABLE_MS);
    if (this.me === null && userId !== null) this.me = { id: userId };
    this.#set({ state: "live", closeCode: null, lostAt: null, node, maxTextLength });
    for (const { resolve } of this.#waiting.splice(0)) resolve();
    for (const chat of this.#known.values()) chat._resume();
    this._chats?._reload();
    this.#watch();
    if (userId !== null) this.#meet();
  }

  /** Loads who the user is, once, and takes up what an earlier page has not sent. */
  async #meet() {
    const connection = this.#connection;
    try {
      if (!this.#isUserKnown) {
        const { user_id: id, username, first_name, last_name, display_name } = await this.call("GET", "/api/v1/me");
        if (id !== this.me.id) return this.#end(UNAUTHORIZED);
        this.me = { id, username, first_name, last_name, display_name };
      }
    } catch {
      return; // the next connection does it
    }
    if (connection !== this.#connection) return; // a client that was closed must hold no lock
    this.#isUserKnown = true;
    this._changed();
    const user = `${this.#parts.url} ${this.me.id} ${this.me.username}`; // an id alone may be another user in a new database
    await this._outboxes.start(user, (items) => {
      for (const id of new Set(items.map(({ frame }) => frame.chat_id))) {
        this.chat(id)._outbox.adopt(items.filter(({ frame }) => frame.chat_id === id));
      }
    });
  }

  async #watch() {
    if (this.#watched.length === 0 && this.online.size === 0) return;
    const reply = await this._request({ type: "subscribe_presence", user_ids: this.#watched });
    if (reply?.type !== "ack") return;
    this.online = new Map(reply.result.users.map((user) => [user.user_id, user]));
    this._changed();
  }

  async #renew() {
    if (!this.#tokens.areRenewed) return;
    try {
      await this._request({ type: "refresh", token: await this.#tokens.get("expiring") });
    } catch {
      // the gateway ends the connection, and the next one asks again
    }
  }

  #receive(frame) {
    const { type, id, chat_id: chatId } = frame;
    if (type === "hello" && id === HELLO) return this.#greeted(frame);
    const chat = this.#known.get(chatId);
    if (id !== undefined) {
      if (frame.result?.epoch !== undefined) chat?._established(frame.result);
      return this.#replies.get(id)?.(frame);
    }
    if (type === "token_expiring") return void this.#renew();
    if (type === "direct") return this._emit("direct", frame.data);
    if (type === "user_presence") {
      const { type: _, ...user } = frame;
      this.online = new Map(this.online).set(user.user_id, user);
      return this._changed();
    }
    this._chats?._receive(frame);
    if (chat) chat._receive(frame);
    else this._emit("push", frame);
    if (type === "chat_added" && chat?.state === "closed") chat._resume();
  }
}
