/**
 * One live chat on one WebSocket: seed 004's protocol with the additions of the protocol page.
 *
 * The main class of the client library. It has no dependencies and needs no DOM: it runs in a page and in Node.
 *
 * Invariants:
 * 1. A sent command is kept until the server has responded; after every reconnect it is sent again, in the original
 *    order, with the same client_msg_id. The server stores it once.
 * 2. One such command is pending at a time. So the order is kept even if one of them must wait, and an error, which
 *    names no command, can only belong to that one.
 * 3. `timeline.position` is the last applied event and the value of `?since=`; it never goes back within an epoch.
 */

import { Link } from "./link.js";
import { MAX_UNSENT, Outbox } from "./outbox.js";
import { finalReason, fullJitter, requestedPause } from "./reconnect.js";
import { Presence } from "./presence.js";
import { Timeline } from "./timeline.js";
import { Typing } from "./typing.js";

export { Api, ApiError, userOf } from "./api.js";
export { hasUnsent } from "./outbox.js";
export { textProblem } from "./text.js";
export { fullJitter, Timeline };

const PAGE = 50;
const SETTLED_MS = 5_000; // a connection that lasted this long resets the backoff
const DEFAULT_HOLD_S = 2;
const MAX_HOLD_S = 600;
const NOT_A_MEMBER = 4403;

/**
 * One live chat. Fires `change` when the visible state has changed, and `problem` (a CustomEvent whose detail is
 * `{message, code}`) when something was finally rejected. Its public fields are read-only, except `token`.
 *
 * `me` is the user as a sender (`{id, username}`). Without a `token` the cookie of the browser authenticates. `storage`
 * (the Web Storage interface) keeps unsent messages when this object or its page ends.
 */
export class Chat extends EventTarget {
  state = "idle"; // idle | connecting | live | waiting | closed
  reason = null; // a sentence, if waiting or closed
  retryAt = null; // if waiting: the time of the next attempt, in ms since 1970
  closeCode = null;
  lostAt = null; // the time when the connection was lost, in ms since 1970, until it is live again
  maxText = 1000; // code points; the server sends the limit on connect
  token; // used by the next connection: after 4401 set a new one of the same user, then call `open`
  held = null; // {message, until}: why and until when (ms since 1970) sending is paused
  node = null; // the replica that serves this socket
  presence = new Presence();
  readSeqs = new Map(); // user id → read position; one's own as moved by other sockets of the user
  timeline = new Timeline();

  #url;
  #WebSocket;
  #random;
  #link = null;
  #attempt = 0;
  #liveSince = 0;
  #outbox;
  #isLeaving = false;
  #isLoading = false;
  #stalePages = 0; // pages of history that were requested before a reset and have not arrived
  #readSent = 0;
  #timers = {};
  #typing = new Typing((isTyping) => this.#notifyTyping(isTyping), () => this.#changed());

  constructor({ chatId, me, base = globalThis.location?.origin, token = null, storage = null, ...parts }) {
    super();
    this.chatId = chatId;
    this.me = me;
    this.token = token;
    this.#url = new URL(`${base.replace(/^http/, "ws").replace(/\/$/, "")}/ws/chat/${chatId}/`);
    this.#WebSocket = parts.WebSocket ?? globalThis.WebSocket;
    this.#random = parts.random ?? Math.random;
    const expect = (text, clientMsgId, at) => this.timeline.expect(text, me, clientMsgId, at);
    this.#outbox = new Outbox({ storage, user: me, chatId, expect });
  }

  /** Connects and stays connected until `leave` or a final rejection. No effect if it is connected. */
  open() {
    this.#isLeaving = false;
    if (this.state === "idle" || this.state === "closed") this.#connect();
  }

  /** Disconnects once the server has responded to everything that was sent. */
  leave() {
    this.#isLeaving = true;
    this.setTyping(false);
    if (!this.isSending || this.state === "closed") this.stop();
  }

  /** Disconnects at once. Unsent commands are kept for the next `open` or the next object with the same storage. */
  stop() {
    this.#abandon("idle");
  }

  /** Call it when the network or the window has changed: reconnects at once if waiting, else tests the link. */
  wake() {
    if (this.state === "waiting") this.#connect();
    else this.probe();
  }

  /** Tests the link: without a response within `answerMs` (default 10 s) the connection counts as lost. */
  probe(answerMs) {
    if (this.state === "live") this.#link.ping(answerMs);
  }

  /** Whether a sent command has no response yet. */
  get isSending() {
    return this.#outbox.next !== undefined;
  }

  /** Whether a command is not stored by the server: pending or rejected. */
  get hasUnsent() {
    return this.#outbox.items.length > 0;
  }

  /** The users who are typing: user id → username. */
  get typists() {
    return this.#typing.typists;
  }

  /** Whether the text was accepted; false, with a `problem`, if too many wait already. `edit` and `delete` likewise. */
  send(text) {
    this.setTyping(false);
    return this.#enqueue({ type: "message", text });
  }

  edit(entry, text) {
    return this.#enqueue({ type: "edit_message", id: entry.id, text });
  }

  delete(entry) {
    return this.#enqueue({ type: "delete_message", id: entry.id });
  }

  /** Adds the user's reaction `key` to a message, or removes it. */
  react({ id, ownReactions }, key) {
    return this.#enqueue({ type: "react", message_id: id, key, remove: ownReactions.includes(key) });
  }

  /** Forgets a message that was rejected (one whose entry has a `failure`). */
  discard(entry) {
    const item = this.#outbox.items.find((other) => other.entry === entry && other.failure);
    if (!item) return;
    this.#outbox.remove(item);
    this.timeline.forget(entry);
    this.#changed();
  }

  /** Marks everything up to the last message as read. */
  markRead() {
    const seq = this.timeline.lastSeq;
    if (this.state !== "live" || seq <= this.#readSent) return;
    this.#readSent = seq;
    this.#link.send({ type: "read_messages", seq });
  }

  /** Call it at every keystroke; it notifies the others when typing starts, while it lasts and when it stops. */
  setTyping(isTyping) {
    this.#typing.set(isTyping);
  }

  /** Requests the page before the oldest loaded message, unless that is the first or a request is pending. */
  loadOlder() {
    if (this.#isLoading || this.timeline.complete || this.state !== "live") return;
    this.#isLoading = true;
    this.#link.send({ type: "history", before_seq: this.timeline.entries[0]?.seq, limit: PAGE });
  }

  /** Applies the read positions of the members in the format of the HTTP API. */
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
    const { reason, lostAt } = this;
    this.#drop("connecting", lostAt === null ? {} : { reason, lostAt });
    const { position } = this.timeline;
    if (position !== null) this.#url.searchParams.set("since", position);
    else this.#url.searchParams.delete("since");
    this.#link = new Link(this.#WebSocket, this.#url.href, this.token ? ["bearer", this.token] : [], {
      receive: (frame) => this.#receive(frame),
      closed: (code, reason) => this.#closed(code, reason),
    });
    this.#changed();
  }

  /** Drops the present socket and enters `state`. */
  #abandon(state, fields = {}) {
    this.#drop(state, fields);
    this.#changed();
  }

  /** Like `#abandon` but without an event, for callers that change more before listeners may look. */
  #drop(state, fields) {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers = {};
    this.#link?.close();
    this.#link = null;
    this.#outbox.underWay = null;
    this.#isLoading = false;
    this.#stalePages = 0;
    this.#readSent = 0;
    this.#typing.clear();
    Object.assign(this, { state, reason: null, retryAt: null, closeCode: null, lostAt: null, held: null }, fields);
  }

  #closed(closeCode, closeReason = "") {
    const wasGood = this.state === "live" && Date.now() - this.#liveSince >= SETTLED_MS;
    const lostAt = this.lostAt ?? Date.now();
    const final = finalReason(closeCode);
    if (final) {
      this.#drop("closed", { closeCode, reason: final });
      if (closeCode === NOT_A_MEMBER) this.#outbox.failAll(final);
    } else {
      // A replica that drains is no failure, however soon after the last drain.
      if (wasGood || closeCode === 4000) this.#attempt = 0;
      const wait = requestedPause(closeReason) + fullJitter(this.#attempt, this.#random);
      const reason = closeCode === 4000 ? "This replica is restarting." : "The connection was lost.";
      this.#attempt += 1;
      this.#drop("waiting", { closeCode, reason, lostAt, retryAt: Date.now() + wait });
      this.#timers.retry = setTimeout(() => this.#connect(), wait);
    }
    this.#changed();
  }

  #notifyTyping(isTyping) {
    if (this.state !== "live") return false;
    this.#link.send({ type: "typing", is_typing: isTyping });
    return true;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  // --- sending

  #enqueue(frame) {
    if (this.#outbox.isFull) {
      const message = `${MAX_UNSENT} messages are waiting to be sent already. Please wait until they are.`;
      this.#problem("outbox_full", message);
      return false;
    }
    this.#outbox.add(frame, this.timeline.epoch);
    if (this.closeCode === NOT_A_MEMBER) this.#outbox.failAll(this.reason);
    this.#pump();
    this.#changed();
    return true;
  }

  #pump() {
    if (!this.isSending && this.#isLeaving) this.stop();
    if (this.state !== "live" || this.#outbox.underWay || this.held || !this.isSending) return;
    this.#outbox.underWay = this.#outbox.next;
    this.#link.send(this.#outbox.underWay.frame);
    this.#link.expectAnswer();
  }

  #hold(message, seconds) {
    const wait = Math.min(seconds, MAX_HOLD_S) * 1000;
    this.#outbox.underWay = null;
    this.held = { message, until: Date.now() + wait };
    this.#timers.hold = setTimeout(() => {
      this.held = null;
      this.#pump();
      this.#changed();
    }, wait);
  }

  /** Message ids belong to one history: an edit or deletion for an old one must not change a message of the new one. */
  #failStaleChanges(epoch) {
    const message = "The chat was restored to an earlier state before this change was saved.";
    if (this.#outbox.failChangesOfOtherHistories(epoch, message)) this.#problem("reset", message);
  }

  #problem(code, message) {
    this.dispatchEvent(new CustomEvent("problem", { detail: { code, message } }));
  }

  // --- receiving

  #receive(frame) {
    switch (frame.type) {
      case "connection_established":
        this.#established(frame);
        break;
      case "message":
        this.#message(frame.data, frame);
        break;
      case "reaction":
        if (frame.user_id === this.me.id) this.#settle(frame);
        this.timeline.react(frame, this.me.id);
        break;
      case "history":
        this.#history(frame.messages);
        break;
      case "typing":
        this.#typing.take(frame);
        break;
      case "messages_read": {
        const { user_id: id, seq } = frame.data ?? frame;
        this.#moveRead(id, seq);
        break;
      }
      case "presence":
      case "presence_state":
      case "presence_count":
        this.presence.take(frame);
        break;
      case "reset":
        this.#restart(frame);
        break;
      case "error":
        this.#refused(frame);
        break;
    }
    this.#changed();
  }

  #established({ node, last_seq: lastSeq, epoch = null, max_text_length: maxText }) {
    this.state = "live";
    this.node = node;
    this.maxText = maxText ?? this.maxText;
    this.#liveSince = Date.now();
    this.reason = this.lostAt = null;
    // The position is unchanged: if it belongs to another history, a reset follows with the new start.
    if (this.timeline.lastSeq === null) Object.assign(this.timeline, { epoch, lastSeq });
    this.#failStaleChanges(epoch);
    if (this.timeline.entries.length === 0) this.loadOlder();
    this.#link.send({ type: "presence" });
    this.#link.keepAlive();
    this.#pump();
  }

  /** Another history has begun (after a failover or restore): everything known of the old one is dropped. */
  #restart({ last_seq: lastSeq, epoch = null }) {
    if (this.#isLoading) this.#stalePages += 1;
    this.#isLoading = false;
    this.timeline = Object.assign(new Timeline(), { epoch, lastSeq, pending: this.timeline.pending });
    this.readSeqs.clear();
    this.#readSent = 0;
    this.#failStaleChanges(epoch);
    this.loadOlder();
  }

  #history(messages) {
    if (this.#stalePages > 0) {
      this.#stalePages -= 1;
      return;
    }
    this.#isLoading = false;
    this.timeline.prepend(messages);
  }

  #message(data, { duplicate = false }) {
    if (data.sender.id === this.me.id) this.#settle(data); // before de-duplication: a repeated response has an old seq
    else this.#typing.forget(data.sender.id);
    this.timeline.apply(data, { duplicate });
  }

  #settle(data) {
    const item = data.seq === undefined ? this.#outbox.underWay : this.#outbox.find(data.client_msg_id);
    if (!item) return;
    this.#outbox.remove(item);
    if (item.entry) this.timeline.acknowledge(item.entry, data);
    this.#pump();
  }

  #refused({ code, message, retry_after_s: retryAfter }) {
    const mayPass = code === "rate_limited" || code === "unavailable";
    const { underWay } = this.#outbox;
    if (underWay && mayPass) {
      this.#hold(message, retryAfter ?? DEFAULT_HOLD_S);
      return;
    }
    if (underWay) {
      this.#outbox.fail(underWay, message);
      this.#pump();
    } else if (this.#stalePages > 0) {
      this.#stalePages -= 1;
    } else {
      this.#isLoading = false;
    }
    this.#problem(code, message);
  }

  #moveRead(userId, seq) {
    this.readSeqs.set(userId, Math.max(seq ?? 0, this.readSeqs.get(userId) ?? 0));
  }
}
