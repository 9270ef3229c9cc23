/** A WebSocket whose other end is the test. */

import { Chat } from "../../web/chat.js";

export const ME = { id: 1, username: "alice" };
export const BOB = { id: 2, username: "bob", first_name: "", last_name: "" };

export class FakeSocket {
  static all = [];
  sent = [];
  isClosed = false;

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  /** The frames of one type that the client sent. */
  sentOf(type) {
    return this.sent.filter((frame) => frame.type === type);
  }

  say(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }

  establish(lastSeq = 0, changes = {}) {
    const position = { last_seq: lastSeq, epoch: "e1" };
    this.say({ type: "connection_established", message: "", chat_id: 7, node: "node-a", ...position, ...changes });
  }

  drop(code = 1006, reason = "") {
    this.onclose({ code, reason });
  }
}

/** A chat of Alice's over fake sockets; `random` 0.5 makes jitter predictable. */
export function newChat(options = {}) {
  FakeSocket.all = [];
  return new Chat({ chatId: 7, me: ME, base: "http://host", WebSocket: FakeSocket, random: () => 0.5, ...options });
}

/** The same, connected to a chat whose history is `messages`. */
export function liveChat(messages = [], options = {}) {
  const chat = newChat(options);
  chat.open();
  FakeSocket.last.establish(messages.at(-1)?.seq ?? 0);
  FakeSocket.last.say({ type: "history", messages, last_seq: messages.at(-1)?.seq ?? 0 });
  return chat;
}

/** A message as the server spells it. */
export function message(id, seq, changes = {}) {
  return {
    id,
    seq,
    text: `text ${id}`,
    sender: BOB,
    timestamp: new Date(Date.UTC(2024, 0, 1) + id * 1000).toISOString(),
    is_edited: false,
    is_deleted: false,
    client_msg_id: `c${seq}`,
    ...changes,
  };
}

/** The server's copy of what the client sent as `frame`. */
export function echo(frame, id, seq) {
  return { type: "message", data: message(id, seq, { text: frame.text, sender: ME, client_msg_id: frame.client_msg_id }) };
}

export const textsOf = (chat) => chat.timeline.all.map(({ text }) => text);

/** What a browser keeps for a window. */
export class FakeStorage {
  constructor(values = []) {
    this.values = new Map(values);
  }

  copy() {
    return new FakeStorage(this.values);
  }

  getItem(key) {
    return this.values.get(key) ?? null;
  }

  setItem(key, value) {
    this.values.set(key, value);
  }

  removeItem(key) {
    this.values.delete(key);
  }
}
