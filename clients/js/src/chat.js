import { Emitter } from "./emitter.js";
import { Outbox, RETRY_S, TEMPORARY } from "./outbox.js";
import { NOBODY, Typing, presenceAfter } from "./presence.js";
import { Timeline } from "./timeline.js";

const PAGE = 50;
const INFO_MS = 60_000; // after a shorter absence the members are taken to be the same

/**
 * One chat of a client. Fires `change` when its visible state has changed, `event` with the frame of each message and
 * reaction, once and in order, and `problem` with `{code, message}` when something was finally rejected.
 */
export class Chat extends Emitter {
  /** "idle": nobody has opened it; "opening"; "live"; "waiting" for the connection; "closed": not open to the user. */
  state = "idle";
  /** Why it is closed: `{code, message}`. */
  error = null;
  /** The chat as the HTTP API shows it, with its members; null until it is loaded. */
  info = null;
  /** Who is connected to the chat: `{count, users: Map(user id → name)}`; of more than 50 only their number. */
  presence = NOBODY;
  /** user id → the seq up to which the user has read */
  readSeqs = new Map();
  _outbox;
  #client;
  #timeline = new Timeline();
  #typing = new Typing((isTyping) => this.#send("typing", { is_typing: isTyping }), () => this._changed());
  #holders = 0;
  #subscription = 0; // the number of the last attempt to subscribe
  #readSent = 0;
  #infoAt = -Infinity; // when `info` was loaded

  constructor(client, id) {
    super();
    this.id = id;
    this.#client = client;
    this._outbox = new Outbox(client, this);
  }

  /** The messages to show, in order; a new array after every change, in which only changed messages are new objects. */
  get messages() {
    return this.#timeline.messages;
  }

  /** Whether there may be older messages than those loaded. */
  get hasOlder() {
    return !this.#timeline.isComplete;
  }

  get isLoading() {
    return this.#timeline.isLoading;
  }

  /** The last event that is known, as `epoch:seq`: what `open` takes. */
  get position() {
    return this.#timeline.position;
  }

  get lastSeq() {
    return this.#timeline.lastSeq;
  }

  /** user id → name of the others who are typing */
  get typing() {
    return this.#typing.users;
  }

  /** `{code, message, until}` while a limit or an outage delays what is sent; `until` in ms since 1970. */
  get held() {
    return this._outbox.held;
  }

  /** Whether a command has no reply yet. */
  get isSending() {
    return this._outbox.next !== undefined;
  }

  /** Whether something is not stored: it has no reply, or was rejected. */
  get hasUnsent() {
    return this._outbox.items.length > 0;
  }

  /** Whether somebody has opened it. */
  get isOpen() {
    return this.#holders > 0;
  }

  /**
   * Receives the chat until the returned function is called; over reconnects, and on any node.
   *
   * `since` is the `position` that an earlier process had, or a seq: events after it come first, 0 for all.
   */
  open({ since = null } = {}) {
    this.#holders += 1;
    if (this.#holders === 1) {
      if (since !== null) this.#timeline.position ??= since;
      this._resume();
    }
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders -= 1;
      if (this.#holders === 0) this.#leave();
    };
  }

  /**
   * Shows a message at once and sends it. `more` has other keys of the command, such as `data`, `reply_to`, `mentions`.
   *
   * Resolves to `{message_id, seq, duplicate}` when it is in the database; waits through outages and limits. Rejects
   * with Rejected. `edit`, `delete` and `react` likewise. Nobody needs to wait for it: `messages` shows the outcome.
   */
  send(text, more = {}) {
    this.setTyping(false);
    return this.#enqueue({ type: "message", text, ...more });
  }

  edit(messageId, text, more = {}) {
    return this.#enqueue({ type: "edit_message", message_id: messageId, text, ...more });
  }

  delete(messageId, more = {}) {
    return this.#enqueue({ type: "delete_message", message_id: messageId, ...more });
  }

  /** Adds the user's reaction `key` to a message, or removes it. */
  react(messageId, key, { remove = false, ...more } = {}) {
    return this.#enqueue({ type: "react", message_id: messageId, key, remove, ...more });
  }

  /** Sends a message again that was rejected. */
  retry({ client_msg_id: clientMsgId }) {
    const item = this._outbox.rejected(clientMsgId);
    if (item) this._outbox.retry(item);
  }

  /** Forgets a message that was rejected. */
  discard({ client_msg_id: clientMsgId }) {
    const item = this._outbox.rejected(clientMsgId);
    if (!item) return;
    this._outbox.remove(item);
    this.#timeline.forget(clientMsgId);
    this._changed();
  }

  /** Call it with true at every keystroke: the others are notified while typing lasts. */
  setTyping(isTyping) {
    this.#typing.set(isTyping);
  }

  /** Marks everything up to `seq` as read: the last event, unless another is given. */
  markRead(seq = this.lastSeq) {
    if (!seq || seq <= this.#readSent || this.state !== "live") return;
    this.#readSent = seq;
    this.#send("read_messages", { seq });
    this.#moveRead(this.#client.me?.id, seq);
    this.#client._chats?._read(this.id, seq);
  }

  /** Whether the user has read the message. */
  hasRead(userId, message) {
    return message.seq !== null && message.seq <= (this.readSeqs.get(userId) ?? 0);
  }

  /** Loads the page before the oldest message. No effect while one is loading, or if there is none. */
  async loadOlder() {
    const timeline = this.#timeline;
    if (timeline.isLoading || timeline.isComplete || this.state !== "live") return;
    timeline.isLoading = true;
    this._changed();
    const before = timeline.firstSeq === undefined ? {} : { before_seq: timeline.firstSeq };
    const reply = await this.#send("history", { limit: PAGE, ...before });
    if (reply?.type === "ack") timeline.prepend(reply.result.messages);
    else if (reply?.type === "error") this._rejected(reply);
    timeline.isLoading = false;
    this._changed();
  }

  // --- the connection, for the client

  /** Subscribes again and sends what waits, on a new connection or a new wish. */
  _resume() {
    if (this.state === "closed") this.error = null;
    if (this.isOpen) {
      this.#setState("opening");
      this.#subscribe();
      if (Date.now() - this.#infoAt > INFO_MS) this.#loadInfo();
    }
    this._outbox.pump();
  }

  _lost() {
    this.#subscription += 1;
    this.#readSent = 0;
    this.#typing.clear();
    if (this.#needsSubscription) this.#setState("waiting");
  }

  /** Frees the memory of a chat that nobody has open. */
  _forget() {
    this.#timeline = this.#timeline.restarted(null, null);
    this.info = null;
    this.#infoAt = -Infinity;
  }

  /** The gateway has acknowledged a subscription. */
  _established({ epoch, last_seq: lastSeq }) {
    if (!this.#needsSubscription) return; // it was left, or closed to the user, meanwhile
    const timeline = this.#timeline;
    timeline.epoch ??= epoch;
    timeline.lastSeq ??= lastSeq;
    this._outbox.failStale(epoch);
    this.#setState("live");
    if (timeline.firstSeq === undefined) this.loadOlder();
    this.#send("presence").then((reply) => reply?.type === "ack" && this.#takePresence(reply.result.members));
    this._outbox.pump();
  }

  /** Somebody has opened it, and it is not closed to the user. */
  get #needsSubscription() {
    return this.isOpen && this.state !== "closed";
  }

  async #subscribe() {
    const attempt = (this.#subscription += 1);
    while (attempt === this.#subscription) {
      const since = this.position === null ? {} : { since: this.position };
      const reply = await this.#send("subscribe", since);
      if (reply?.type !== "error" || attempt !== this.#subscription) return;
      if (!TEMPORARY.has(reply.code)) return void this.#close(reply);
      await this.#client._sleep(reply.retry_after_s ?? RETRY_S);
    }
  }

  #leave() {
    this.#subscription += 1;
    this.#typing.clear();
    this.#readSent = 0;
    this.#timeline.shrink();
    this.#setState("idle");
    this.#send("unsubscribe");
    this.#client._left(this);
  }

  /** The chat is not open to the user, or no longer. */
  #close({ code, message }) {
    this.#subscription += 1;
    this.error = { code, message };
    this._outbox.fail(this.error);
    this.#setState("closed");
  }

  #setState(state) {
    this.state = state;
    this._changed();
  }

  async #loadInfo() {
    this.#infoAt = Date.now();
    try {
      const info = await this.#client.call("GET", `/api/v1/chats/${this.id}`);
      for (const { user_id: id, read_seq: seq } of info.members) this.#moveRead(id, seq);
      this.info = info;
      this._changed();
    } catch {
      this.#infoAt = -Infinity; // the next connection loads it
    }
  }

  // --- sending

  #enqueue(command) {
    const stored = this._outbox.add({ ...command, chat_id: this.id }, this.#timeline.epoch);
    if (this.state === "closed") this._outbox.fail(this.error);
    return stored;
  }

  /** Without a subscription the history is not known; in an open chat a change waits until it is known. */
  get _canSend() {
    return this.#client.state === "live" && (this.state === "live" || !this.isOpen);
  }

  _stored({ frame }, { message_id: id, seq }) {
    const { type, key, remove, client_msg_id: clientMsgId } = frame;
    if (type === "message") this.#timeline.acknowledge(clientMsgId, id, seq);
    else if (type === "react" && seq === undefined) this.#timeline.setOwnReaction(id, key, remove);
    this.#timeline.forget(clientMsgId);
    this._changed();
  }

  _rejected({ code, message }) {
    this._emit("problem", { code, message });
  }

  /** Shows a message, or a rejected edit, that is not stored. */
  _show({ frame, error, at }) {
    if (frame.type === "message" || (error && frame.text !== undefined)) {
      const { text, data, mentions, client_msg_id, reply_to: parentId } = frame;
      const parent = this.#timeline.get(parentId) ?? { id: parentId, sender: null, text: "" };
      const reply_to = parentId && { id: parentId, sender: parent.sender, text: parent.text.slice(0, 120) };
      const state = { id: null, seq: null, version: -1, is_edited: false, is_deleted: false, reactions: {}, own_reactions: [] };
      const content = { text, ...(data && { data }), ...(mentions && { mentions }), ...(reply_to && { reply_to }) };
      const status = error ? "rejected" : "sending";
      this.#timeline.showUnsent({ ...state, ...content, client_msg_id, sender: this.#client.me, timestamp: at, status, error });
    }
    this._changed();
  }

  /** The reply to a command that stores nothing; null without a connection. */
  #send(type, fields = {}) {
    return this.#client._request({ type, chat_id: this.id, ...fields });
  }

  // --- receiving

  _receive(frame) {
    switch (frame.type) {
      case "message":
        this.#typing.forget(frame.data.sender?.id);
        if (this.#timeline.apply(frame.data, this.#isMine(frame.data.sender?.id))) this._emit("event", frame);
        break;
      case "reaction":
        if (this.#timeline.react(frame, this.#isMine(frame.user_id))) this._emit("event", frame);
        break;
      case "typing":
        return this.#typing.take(frame);
      case "messages_read":
        this.#moveRead(frame.user_id, frame.seq);
        break;
      case "chat_read":
        this.#moveRead(this.#client.me?.id, frame.seq);
        break;
      case "presence":
      case "presence_count":
        return this.#takePresence(frame);
      case "caught_up":
        Object.assign(this.#timeline, { epoch: frame.epoch, lastSeq: Math.max(frame.seq, this.lastSeq ?? 0) });
        break;
      case "truncated":
        this.#timeline.truncate(frame.first_seq);
        break;
      case "reset":
        return this.#restart(frame);
      case "chat_changed":
      case "member_changed":
        this.#takeInfo(frame);
        break;
      case "chat_removed":
        return this.#close({ code: "forbidden", message: "You are no longer in this chat." });
      case "error": // the subscription has ended
        if (this.state === "live") this.#subscribeLater(frame);
        break;
    }
    this._changed();
  }

  async #subscribeLater({ retry_after_s: seconds = RETRY_S }) {
    const attempt = (this.#subscription += 1);
    this.#setState("waiting");
    await this.#client._sleep(seconds);
    if (attempt === this.#subscription) this.#subscribe();
  }

  /** Another history has begun (a failover, a restored backup): what is known of the old one is dropped. */
  #restart({ epoch, last_seq: lastSeq }) {
    this.#timeline = this.#timeline.restarted(epoch, lastSeq);
    this.readSeqs = new Map();
    this.#readSent = 0;
    this._outbox.failStale(epoch);
    this._emit("event", { type: "reset", chat_id: this.id, epoch, last_seq: lastSeq });
    this.loadOlder();
    this.#loadInfo();
    this._changed();
  }

  #takePresence(change) {
    this.presence = presenceAfter(this.presence, change);
    const { members, member_count: count } = this.info ?? { members: [] };
    const isNew = change.status === "join" && members.every((member) => member.user_id !== change.user_id);
    if (isNew && members.length === count) this.#loadInfo();
    this._changed();
  }

  #takeInfo({ type, chat_id: _, ...changes }) {
    const change = (member) => (member.user_id === changes.user_id ? { ...member, ...changes } : member);
    if (this.info === null) return;
    if (type === "chat_changed") this.info = { ...this.info, ...changes };
    else this.info = { ...this.info, members: this.info.members.map(change) };
  }

  #isMine(userId) {
    return userId !== undefined && userId === this.#client.me?.id;
  }

  #moveRead(userId, seq) {
    if (userId === undefined || seq <= (this.readSeqs.get(userId) ?? 0)) return;
    this.readSeqs = new Map(this.readSeqs).set(userId, seq);
  }
}
