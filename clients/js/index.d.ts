import type { ChatObject, MessageObject, MessagePush, OwnChatObject, PersonObject, ReactionPush, UserPresenceObject } from "./protocol.js";
import type { Command, Frame } from "./protocol.js";

export type * from "./protocol.js";

/** Why a token is asked for: "expiring": the connection goes on with the new one. */
export type Why = "connect" | "expiring" | "rejected";

/** A command of a chat that is not stored yet, as a storage keeps it. */
export interface UnsentItem {
  /** Names the item; no two users have the same one. */
  key: string;
  /** The user whose it is, at one gateway, and the page that sends it. */
  user: string;
  owner: string;
  [name: string]: unknown;
}

/** Keeps what is not sent over reloads of the page. */
export interface Storage {
  all(user: string): Promise<UnsentItem[]>;
  put(item: UnsentItem): Promise<unknown>;
  delete(key: string): Promise<unknown>;
}

export interface ClientOptions {
  /** A text, or a function that is called for each. Without one the client is anonymous and reads public chats. */
  token?: string | ((why: Why) => string | Promise<string>) | null;
  /** A label of this device. */
  clientId?: string;
  /** Where it is not global. */
  WebSocket?: new (url: string, protocols: string[]) => unknown;
  fetch?: typeof globalThis.fetch;
  /** IndexedDB where there is one, if it is not given; null: memory only. */
  storage?: Storage | null;
  /** The Web Locks of the browser, if it is not given. */
  locks?: unknown;
  /** A number from 0 to 1, for the delays before reconnects. */
  random?: () => number;
}

interface Emitter<Events> {
  /** Grows with every change: a snapshot for `useSyncExternalStore`. */
  readonly version: number;
  /** Returns the function that removes the listener. */
  on<Name extends keyof Events>(event: Name, listener: (detail: Events[Name]) => void): () => void;
}

export interface Problem {
  code: string;
  message: string;
}

/** A message to show: the object of the protocol, its place, and what has become of it. */
export interface Message extends Omit<MessageObject, "id" | "seq"> {
  /** null until it is stored. */
  readonly id: number | null;
  /** Its place, which never changes; null until it is stored. */
  readonly seq: number | null;
  /** The event of its present state. */
  readonly version: number;
  readonly status: "stored" | "sending" | "rejected";
  /** Why it was rejected. */
  readonly error: Problem | null;
  readonly reactions: Record<string, number>;
  readonly own_reactions: string[];
}

export interface Stored {
  message_id: number;
  /** Absent if a reaction was there, or not there, already. */
  seq?: number;
  /** It was stored already, by an earlier attempt. */
  duplicate: boolean;
}

/** Keys of the command `message` beside the text. `client_msg_id` is made if it is not given. */
export interface Content {
  data?: Record<string, unknown>;
  reply_to?: number;
  mentions?: number[];
  client_msg_id?: string;
}

export interface Presence {
  readonly count: number;
  /** user id → name; empty while more than 50 users are connected */
  readonly users: ReadonlyMap<number, string>;
}

export interface Reset {
  type: "reset";
  chat_id: number;
  epoch: string;
  last_seq: number;
}

export interface Chat extends Emitter<{ change: Chat; event: MessagePush | ReactionPush | Reset; problem: Problem }> {
  readonly id: number;
  /** "closed": it is not open to the user; `error` says why. */
  readonly state: "idle" | "opening" | "live" | "waiting" | "closed";
  readonly error: Problem | null;
  /** The chat with its members; null until it is loaded. */
  readonly info: ChatObject | null;
  /**
   * A new array after every change, in which only changed messages are new objects. The newest 1,000, and beside
   * them as many as there were after the last `loadOlder`.
   */
  readonly messages: readonly Message[];
  readonly hasOlder: boolean;
  readonly isLoading: boolean;
  readonly isOpen: boolean;
  /** The last event that is known, as `epoch:seq`; null before the first connection. */
  readonly position: string | null;
  readonly lastSeq: number | null;
  /** user id → name of the others who are typing */
  readonly typing: ReadonlyMap<number, string>;
  readonly presence: Presence;
  /** user id → the seq up to which the user has read */
  readonly readSeqs: ReadonlyMap<number, number>;
  /** Whether a command has no reply yet. */
  readonly isSending: boolean;
  /** Whether a command has no reply yet, or was rejected. */
  readonly hasUnsent: boolean;
  /** Why what is sent waits, and until when (ms since 1970). */
  readonly held: (Problem & { until: number }) | null;
  /** Receives the chat until the returned function is called. `since`: the position of an earlier process, or a seq. */
  open(options?: { since?: string | number | null }): () => void;
  /** Resolves when it is stored; rejects with Rejected or Disconnected, which need not be handled. */
  send(text: string, more?: Content): Promise<Stored>;
  edit(messageId: number, text: string, more?: { data?: Record<string, unknown>; client_msg_id?: string }): Promise<Stored>;
  delete(messageId: number, more?: { client_msg_id?: string }): Promise<Stored>;
  react(messageId: number, key: string, more?: { remove?: boolean; client_msg_id?: string }): Promise<Stored>;
  /** Sends a rejected message again. */
  retry(message: Message): void;
  /** Forgets a rejected message. */
  discard(message: Message): void;
  setTyping(isTyping: boolean): void;
  /** Everything up to `seq`, or the last event, is read. */
  markRead(seq?: number): void;
  hasRead(userId: number, message: Message): boolean;
  /** Loads the page before the first message. */
  loadOlder(): Promise<void>;
}

/** The user's chats by activity, live. */
export interface ChatList extends Emitter<{ change: ChatList; problem: unknown }> {
  readonly isLoaded: boolean;
  readonly items: readonly OwnChatObject[];
  readonly hasMore: boolean;
  get(id: number): OwnChatObject | undefined;
  loadMore(): Promise<void>;
}

interface ClientEvents {
  change: Client;
  /** The data that a service sent to this user or client. */
  direct: unknown;
  /** A push that belongs to no chat of this client. */
  push: Frame;
}

export interface Client extends Emitter<ClientEvents> {}

/** A user's chats over one connection that renews itself. */
export class Client {
  constructor(url: string, options?: ClientOptions);
  readonly state: "connecting" | "live" | "waiting" | "closed";
  /** The close code of the last connection, if there is none now. */
  readonly closeCode: number | null;
  /** The node that serves the connection. */
  readonly node: string | null;
  /** The longest text of a message, in code points. */
  readonly maxTextLength: number | null;
  /** When the next attempt is made, and since when there is no connection: ms since 1970. */
  readonly retryAt: number | null;
  readonly lostAt: number | null;
  /** Only `{id}` until the rest is loaded. */
  readonly me: (Partial<PersonObject> & { id: number }) | null;
  readonly online: ReadonlyMap<number, UserPresenceObject>;
  readonly chats: ChatList;
  chat(id: number): Chat;
  /** Rejects with Rejected or Disconnected. */
  chat(key: string): Promise<Chat>;
  /** Connects again after the state was "closed". */
  connect(): void;
  close(): void;
  /** Follows whether these users are online, up to 100. */
  watchPresence(userIds: Iterable<number>): void;
  /** Any call of the HTTP API. */
  call<Result = any>(method: string, path: string, body?: unknown): Promise<Result>;
  /** Any command; it may be sent twice. */
  command<Type extends Command["type"]>(
    type: Type,
    fields?: Omit<Extract<Command, { type: Type }>, "type" | "id">,
  ): Promise<Frame>;
  /** Connects at once if it waits, else tests the connection. */
  wake(): void;
  /** Tests the connection, with `ms` for the response. */
  probe(ms?: number): void;
  /** Gives up the connection, until `resume`. */
  suspend(): void;
  resume(): void;
}

/** A command or an HTTP call was rejected; `code` is stable. */
export class Rejected extends Error {
  readonly code: string;
  /** That of HTTP. */
  readonly status: number | null;
  readonly retryAfterS: number | null;
}

/** There is no connection; `code` is the close code. */
export class Disconnected extends Error {
  readonly code: number;
}
