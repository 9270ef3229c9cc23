/**
 * One live chat on one WebSocket: seed 004's protocol with the additions of the protocol page.
 *
 * The client library's front door: no DOM, no dependency, at home in a page and in Node alike.
 *
 * What this file keeps true:
 * 1. What was sent is kept until the server has answered for it; after every reconnect it goes out again, in the order
 *    of sending, under the same client_msg_id. The server stores it once.
 * 2. One such command is under way at a time. So order is kept even when one of them must wait, and an error, which
 *    names no command, can only mean that one.
 * 3. `timeline.lastSeq` is the last event applied, and what `?since=` resumes after; it never goes back, but for a reset.
 */

import { Timeline } from "./timeline.js";

export { Api, ApiError, userIdOf } from "./api.js";
export { Timeline };

export const MAX_TEXT = 1000; // code points, as the server counts
const PAGE = 50;
const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 20_000;
const SETTLED_MS = 5_000; // a connection that lived this long was a good one: the next backoff starts anew
const PING_MS = 25_000;
const ANSWER_MS = 10_000; // a link that says nothing for this long when something is due is dead
const TYPING_REPEAT_MS = 2_000; // the server passes typing on every 2 s
const TYPING_IDLE_MS = 3_000; // as in the seed's own client
const TYPING_SHOWN_MS = 6_000; // a typist who vanished is forgotten
const DEFAULT_HOLD_S = 2;

/** Why a closed chat stays closed; other codes from 4400 on get a sentence of their own number. */
const FINAL = {
  4401: "Your session has ended. Please log in again.",
  4403: "You are not a member of this chat, or it does not exist.",
  4408: "This account has been blocked.",
  4409: "You opened this chat somewhere else, so it is paused here.",
  4410: "This room is full.",
  4429: "Too many requests were refused. Please wait a minute before you come back.",
};

/** Milliseconds to wait before reconnect number `attempt` (0, 1, …): "full jitter", anything up to a doubling bound. */
export function fullJitter(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt);
}

/** What is wrong with a message's text, as a sentence, or null. The server has the last word. */
export function textProblem(text) {
  if (!text.trim()) return "A message cannot be empty.";
  const length = [...text].length;
  if (length > MAX_TEXT) return `A message can have at most ${MAX_TEXT} characters; this one has ${length}.`;
  return null;
}

/**
 * One chat, live. Fires `change` whenever something worth showing has changed, and `problem` (a CustomEvent whose
 * detail is `{message, code}`) when the server refused something for good. Its public fields are to be read, not written.
 *
 * `me` is the user as a sender (`{id, username}`). Without a `token` the browser's cookie authenticates.
 */
export class Chat extends EventTarget {
  state = "idle"; // idle | connecting | live | waiting | closed
  reason = null; // a sentence, when waiting or closed
  retryAt = null; // when waiting: the time of the next try, in ms since 1970
  closeCode = null;
  held = null; // {message, until}: why and until when (ms since 1970) what was sent is held back
  node = null; // the replica that serves this socket
  present = new Map(); // user id → username, who is connected
  presentCount = 0;
  typists = new Map(); // user id → username, who is typing
  readSeqs = new Map(); // user id → seq, what others have read
  timeline = new Timeline();

  #url;
  #protocols;
  #WebSocket;
  #random;
  #socket = null;
  #attempt = 0;
  #liveSince = 0;
  #outbox = []; // {frame, entry}: commands that the server has not answered, the oldest first
  #isUnderWay = false; // whether the oldest was sent on this socket
  #isLeaving = false;
  #isLoading = false;
  #readSent = 0;
  #typingSentAt = 0;
  #timers = {};
  #typistTimers = new Map();

  constructor({ chatId, me, base = globalThis.location?.origin, token = null, ...parts }) {
    super();
    this.chatId = chatId;
    this.me = me;
    this.#url = new URL(`/ws/chat/${chatId}/`, base.replace(/^http/, "ws"));
    this.#protocols = token ? ["bearer", token] : [];
    this.#WebSocket = parts.WebSocket ?? globalThis.WebSocket;
    this.#random = parts.random ?? Math.random;
  }

  /** Connects, and stays connected until `leave` or a final refusal. Harmless when it is. */
  open() {
    this.#isLeaving = false;
    if (this.state === "idle" || this.state === "closed") this.#connect();
  }

  /** Disconnects, once everything that was sent has been answered. */
  leave() {
    this.#isLeaving = true;
    this.setTyping(false);
    if (this.#outbox.length === 0 || this.state === "closed") this.#abandon("idle");
  }

  /** Something happened to the network or the window: reconnects at once if it is waiting, else tests the link. */
  wake() {
    if (this.state === "waiting") this.#connect();
    else if (this.state === "live") this.#ping();
  }

  /** Whether something sent is still unanswered. */
  get isSending() {
    return this.#outbox.length > 0;
  }

  send(text) {
    const clientMsgId = newClientMsgId();
    const entry = this.timeline.expect(text, this.me, clientMsgId);
    this.setTyping(false);
    this.#enqueue({ type: "message", text, client_msg_id: clientMsgId }, entry);
  }

  edit(entry, text) {
    this.#enqueue({ type: "edit_message", id: entry.id, text, client_msg_id: newClientMsgId() });
  }

  delete(entry) {
    this.#enqueue({ type: "delete_message", id: entry.id, client_msg_id: newClientMsgId() });
  }

  /** Everything up to the last message has been seen. */
  markRead() {
    const seq = this.timeline.lastSeq;
    if (this.state !== "live" || seq <= this.#readSent) return;
    this.#readSent = seq;
    this.#transmit({ type: "read_messages", seq });
  }

  /** Call it at every keystroke; it tells the others when that is news, and when the typing has stopped. */
  setTyping(isTyping) {
    clearTimeout(this.#timers.typing);
    if (isTyping) this.#timers.typing = setTimeout(() => this.setTyping(false), TYPING_IDLE_MS);
    const isNews = isTyping ? Date.now() - this.#typingSentAt >= TYPING_REPEAT_MS : this.#typingSentAt > 0;
    if (!isNews || this.state !== "live") return;
    this.#typingSentAt = isTyping ? Date.now() : 0;
    this.#transmit({ type: "typing", is_typing: isTyping });
  }

  /** Asks for the page before the oldest message there is; does nothing when that is the first, or one is on its way. */
  loadOlder() {
    if (this.#isLoading || this.timeline.complete || this.state !== "live") return;
    this.#isLoading = true;
    this.#transmit({ type: "history", before_seq: this.timeline.entries[0]?.seq, limit: PAGE });
  }

  /** Takes the members' read positions, as HTTP tells them. */
  takeReadPositions(members) {
    for (const { user_id: id, read_seq: seq } of members) this.#moveRead(id, seq);
    this.#changed();
  }

  /** Whether `userId` has read `entry`. */
  hasRead(userId, entry) {
    return entry.seq !== null && entry.seq <= (this.readSeqs.get(userId) ?? 0);
  }

  // --- the link

  #connect() {
    this.#abandon("connecting");
    const { lastSeq } = this.timeline;
    if (lastSeq !== null) this.#url.searchParams.set("since", lastSeq);
    else this.#url.searchParams.delete("since");
    const socket = new this.#WebSocket(this.#url.href, this.#protocols);
    this.#socket = socket;
    socket.onmessage = (event) => this.#socket === socket && this.#receive(JSON.parse(event.data));
    socket.onclose = (event) => this.#socket === socket && this.#closed(event.code, event.reason);
    this.#expectAnswer();
  }

  /** Forgets the present socket, whatever becomes of it, and enters `state`. */
  #abandon(state) {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer); // clears intervals as well
    for (const timer of this.#typistTimers.values()) clearTimeout(timer);
    this.#timers = {};
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#isUnderWay = false;
    this.#isLoading = false;
    this.#typingSentAt = 0;
    this.#readSent = 0;
    this.typists.clear();
    Object.assign(this, { state, reason: null, retryAt: null, closeCode: null, held: null });
    this.#changed();
  }

  #closed(code, reason = "") {
    const wasGood = this.state === "live" && Date.now() - this.#liveSince >= SETTLED_MS;
    // A replica that leaves politely is no failure, however soon it comes after the last one's leaving.
    if (wasGood || code === 4000) this.#attempt = 0;
    this.#abandon("waiting");
    this.closeCode = code;
    if (code >= 4400 && code < 5000) {
      this.state = "closed";
      this.reason = FINAL[code] ?? `The server has closed this chat (code ${code}).`;
      return;
    }
    const wait = hintOf(reason) + fullJitter(this.#attempt, this.#random);
    this.#attempt += 1;
    this.reason = code === 4000 ? "This replica is restarting." : "The connection was lost.";
    this.retryAt = Date.now() + wait;
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
  }

  #transmit(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  #ping() {
    this.#transmit({ type: "ping" });
    this.#expectAnswer();
  }

  #expectAnswer() {
    this.#timers.answer ??= setTimeout(() => this.#closed(1006), ANSWER_MS);
  }

  #enqueue(frame, entry = null) {
    this.#outbox.push({ frame, entry });
    this.#pump();
    this.#changed();
  }

  #pump() {
    if (this.#outbox.length === 0 && this.#isLeaving) this.#abandon("idle");
    if (this.state !== "live" || this.#isUnderWay || this.held || this.#outbox.length === 0) return;
    this.#isUnderWay = true;
    this.#transmit(this.#outbox[0].frame);
    this.#expectAnswer();
  }

  #hold(message, seconds) {
    this.#isUnderWay = false;
    this.held = { message, until: Date.now() + seconds * 1000 };
    this.#timers.hold = setTimeout(() => {
      this.held = null;
      this.#pump();
      this.#changed();
    }, seconds * 1000);
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  // --- what the server says

  #receive(frame) {
    clearTimeout(this.#timers.answer);
    this.#timers.answer = null;
    switch (frame.type) {
      case "connection_established":
        this.#established(frame);
        break;
      case "message":
        this.#message(frame.data, frame);
        break;
      case "history":
        this.#isLoading = false;
        this.timeline.prepend(frame.messages);
        break;
      case "typing":
        this.#typing(frame);
        break;
      case "messages_read":
        this.#moveRead(frame.user_id, frame.seq);
        break;
      case "presence":
        if (frame.status === "join") this.present.set(frame.user_id, frame.username);
        else this.present.delete(frame.user_id);
        this.presentCount = this.present.size;
        break;
      case "presence_state":
        this.present = new Map(frame.members.map((member) => [member.user_id, member.username]));
        this.presentCount = this.present.size;
        break;
      case "presence_count":
        this.presentCount = frame.count;
        break;
      case "reset":
        this.timeline = Object.assign(new Timeline(), { lastSeq: frame.last_seq, pending: this.timeline.pending });
        this.#isLoading = false;
        this.loadOlder();
        break;
      case "error":
        this.#refused(frame);
        break;
    }
    this.#changed();
  }

  #established(frame) {
    this.state = "live";
    this.node = frame.node;
    this.#liveSince = Date.now();
    this.timeline.lastSeq ??= frame.last_seq;
    if (this.timeline.entries.length === 0) this.loadOlder();
    this.#transmit({ type: "presence" });
    this.#timers.ping = setInterval(() => this.#ping(), PING_MS);
    this.#pump();
  }

  #message(data, { duplicate = false }) {
    if (data.sender.id === this.me.id) this.#settle(data); // before de-duplication: a repeated answer has an old seq
    else this.#forgetTypist(data.sender.id);
    this.timeline.apply(data, { duplicate });
  }

  #settle(data) {
    const index = this.#outbox.findIndex(({ frame }) => frame.client_msg_id === data.client_msg_id);
    if (index < 0) return;
    const [{ entry }] = this.#outbox.splice(index, 1);
    if (entry) this.timeline.acknowledge(entry, data);
    if (index === 0) this.#isUnderWay = false;
    this.#pump();
  }

  #refused({ code, message, retry_after_s: retryAfter }) {
    this.#isLoading = false;
    const mayPass = code === "rate_limited" || code === "unavailable";
    if (this.#isUnderWay && mayPass) {
      this.#hold(message, retryAfter ?? DEFAULT_HOLD_S);
      return;
    }
    if (this.#isUnderWay) {
      const { entry } = this.#outbox.shift();
      if (entry) entry.failure = message;
      this.#isUnderWay = false;
      this.#pump();
    }
    this.dispatchEvent(new CustomEvent("problem", { detail: { code, message } }));
  }

  #typing({ user_id: id, username, is_typing: isTyping }) {
    this.#forgetTypist(id);
    if (!isTyping) return;
    this.typists.set(id, username);
    const forget = () => {
      this.#forgetTypist(id);
      this.#changed();
    };
    this.#typistTimers.set(id, setTimeout(forget, TYPING_SHOWN_MS));
  }

  #forgetTypist(id) {
    clearTimeout(this.#typistTimers.get(id));
    this.typists.delete(id);
  }

  #moveRead(userId, seq) {
    this.readSeqs.set(userId, Math.max(seq ?? 0, this.readSeqs.get(userId) ?? 0));
  }
}

/** 128 random bits in hex; `crypto.randomUUID` exists only on secure origins. */
function newClientMsgId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The pause in ms that a close reason asks for (`{"retry_after_ms": n}`); 0 when it asks for none. */
function hintOf(reason) {
  try {
    return Number(JSON.parse(reason).retry_after_ms) || 0;
  } catch {
    return 0;
  }
}
