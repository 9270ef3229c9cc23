/** The frames of `/ws/{client_id}` and objects of the HTTP API. Made by scripts/generate; do not edit. */

/**
 * A validation error of one field: a stable code, and a sentence for the user.
 */
export interface BrokenRule {
  field: string;
  code: string;
  detail: string;
}

/**
 * The end of the replay that `since` requested: all events up to `seq` were sent, and live messages follow.
 */
export interface CaughtUpPush {
  chat_id: number;
  epoch: string;
  seq: number;
  type: "caught_up";
}

/**
 * New events in one of the user's chats to which this socket is not subscribed; only the latest seq is sent.
 */
export interface ChatActivityPush {
  chat_id: number;
  last_seq: number;
  type: "chat_activity";
}

/**
 * The user is a member of this chat from now on.
 */
export interface ChatAddedPush {
  chat_id: number;
  type: "chat_added";
}

/**
 * The title, data or rules of a chat have changed, to these; sent to members with or without a subscription.
 */
export interface ChatChangedPush {
  chat_id: number;
  data: Record<string, unknown> | null;
  frozen: boolean;
  key: string | null;
  retention_days: number | null;
  slow_mode_s: number;
  title: string;
  type: "chat_changed";
}

/**
 * What a chat is for; it decides who may join and which URL families serve it.
 */
export type ChatKind = "direct" | "group" | "public" | "room" | "service" | "support";

/**
 * The caller's chats. `next` is the `cursor` of the next page, null on the last one, absent without pages.
 */
export interface ChatList {
  chats: Array<OwnChatObject>;
  next?: string | null;
}

/**
 * A chat and its members, the oldest first; `owner_id` is null if its members cannot be changed.
 *
 * A single chat has up to 1,000 members, one of a list up to ten, the caller among them. `member_count` is the number
 * of all; 1000 means 1,000 or more. `key`, `data` and `retention_days` are null if there are none. `data` is absent in
 * the list without pages. `first_seq` is that of the first event that is left, where retention has removed those
 * before it: one more than `last_seq` if none is left.
 */
export interface ChatObject {
  data?: Record<string, unknown> | null;
  first_seq?: number;
  frozen: boolean;
  id: number;
  key: string | null;
  kind: ChatKind;
  last_seq: number;
  member_count: number;
  members: Array<MemberObject>;
  owner_id: number | null;
  retention_days: number | null;
  slow_mode_s: number;
  title: string;
}

/**
 * The user has read a chat up to `seq` on another socket, of any URL and node; sent with or without subscription.
 *
 * Successive reads may be merged into one with the last `seq`. `unread` counts the messages by others after it; 100
 * means "100 or more", or that more than 1,000 events of any kind follow.
 */
export interface ChatReadPush {
  chat_id: number;
  seq: number;
  type: "chat_read";
  unread: number;
}

/**
 * The user is no longer a member; a subscription to the chat has ended.
 */
export interface ChatRemovedPush {
  chat_id: number;
  type: "chat_removed";
}

/**
 * Send a message with data of the application: a JSON object, which every client gets as it is.
 */
export interface DataMessageCommand {
  chat_id: number;
  client_msg_id?: string | null;
  data: Record<string, unknown>;
  id?: number | string | null;
  mentions?: Array<number> | null;
  reply_to?: number | null;
  text?: string | null;
  traceparent?: unknown;
  type: "message";
}

/**
 * The form of `/ws/chat/{chat_id}/`: `id` identifies the message and also the command.
 */
export interface DeleteByIdCommand {
  chat_id: number;
  client_msg_id?: string | null;
  id: number;
  traceparent?: unknown;
  type: "delete_message";
}

/**
 * Delete one of the user's own messages.
 */
export interface DeleteMessageCommand {
  chat_id: number;
  client_msg_id?: string | null;
  id?: number | string | null;
  message_id: number;
  traceparent?: unknown;
  type: "delete_message";
}

/**
 * A payload that a service sent to this user or client_id: any JSON.
 */
export interface DirectPush {
  data: unknown;
  type: "direct";
}

/**
 * A command without a result succeeded.
 */
export interface DoneAck {
  chat_id: number;
  id: number | string;
  type: "ack";
}

/**
 * The form of `/ws/chat/{chat_id}/`: `id` identifies the message and also the command.
 */
export interface EditByIdCommand {
  chat_id: number;
  client_msg_id?: string | null;
  data?: null;
  id: number;
  text: string;
  traceparent?: unknown;
  type: "edit_message";
}

/**
 * The form of `/ws/chat/{chat_id}/`: `id` identifies the message and also the command.
 */
export interface EditDataByIdCommand {
  chat_id: number;
  client_msg_id?: string | null;
  data: Record<string, unknown>;
  id: number;
  text: string;
  traceparent?: unknown;
  type: "edit_message";
}

/**
 * Edit the text and the data of one of the user's own messages.
 */
export interface EditDataCommand {
  chat_id: number;
  client_msg_id?: string | null;
  data: Record<string, unknown>;
  id?: number | string | null;
  message_id: number;
  text: string;
  traceparent?: unknown;
  type: "edit_message";
}

/**
 * Edit the text of one of the user's own messages; its data stay.
 */
export interface EditMessageCommand {
  chat_id: number;
  client_msg_id?: string | null;
  data?: null;
  id?: number | string | null;
  message_id: number;
  text: string;
  traceparent?: unknown;
  type: "edit_message";
}

/**
 * A command was rejected, or (with `chat_id` and no `id`) a subscription has ended; the socket stays open.
 */
export interface ErrorAnswer {
  chat_id?: number;
  code: ErrorCode;
  id?: number | string;
  message: string;
  retry_after_s?: number;
  type: "error";
}

/**
 * - `invalid_json`: not JSON, not an object, a binary message, or nested too deeply
 * - `empty_text`: the text is missing, not a string, empty, or white space only
 * - `text_too_long`: the text has too many characters (code points)
 * - `invalid_text`: the text has a NUL or a lone surrogate, which cannot be stored
 * - `invalid_field`: a field has the wrong type or range, or is unknown; `message` names it
 * - `unknown_type`: this URL has no such command
 * - `rate_limited`: the user has reached the limit per minute; retry after `retry_after_s`
 * - `not_found`: the message to edit, delete or react to does not exist
 * - `forbidden`: not a member of the chat, not the message's author, or not for anonymous clients
 * - `banned`: in problem documents only: the user is banned
 * - `muted`: the user is muted in this chat
 * - `chat_frozen`: only the owner, moderators and services write in this chat
 * - `slow_mode`: the user sent a message to this chat a moment ago; wait `retry_after_s`
 * - `edit_limit`: the message was edited 100 times; it can still be deleted
 * - `reaction_limit`: the message has 20 different reactions, or 5 of the user; one must be removed first
 * - `id_reused`: this `client_msg_id` was used for other content
 * - `unavailable`: temporarily unavailable; retry after `retry_after_s`, with the same `client_msg_id`
 * - `unauthorized`: in problem documents only: the token is missing, invalid or expired
 * - `conflict`: a subscription was ended before it began
 * - `room_full`: in problem documents only: two other users are in the room
 * - `too_many_subscriptions`: the socket has 1,000 subscriptions
 */
export type ErrorCode = "banned" | "chat_frozen" | "conflict" | "edit_limit" | "empty_text" | "forbidden" | "id_reused" | "invalid_field" | "invalid_json" | "invalid_text" | "muted" | "not_found" | "rate_limited" | "reaction_limit" | "room_full" | "slow_mode" | "text_too_long" | "too_many_subscriptions" | "unauthorized" | "unavailable" | "unknown_type";

/**
 * The response to `hello`: the client's identity and its own `message`.
 *
 * `user_id` is null for a client without a valid token. To a `hello` with an `id` it also has the node that serves the
 * socket, and the longest text in code points.
 */
export interface HelloAnswer {
  authenticated: boolean;
  client_id: string;
  id?: number | string;
  max_text_length?: number;
  message: string;
  node?: string;
  type: "hello";
  user_id: number | null;
}

/**
 * Get the client's identity; with `refresh`, ask for `token_expiring` too.
 */
export interface HelloCommand {
  id?: number | string | null;
  message?: string;
  refresh?: unknown;
  traceparent?: unknown;
  type: "hello";
}

/**
 * The response to `history` with an `id`.
 */
export interface HistoryAck {
  chat_id: number;
  id: number | string;
  result: HistoryResult;
  type: "ack";
}

/**
 * Get the events after a seq, each with the current state of its message.
 */
export interface HistoryAfterCommand {
  after_seq: number;
  before_seq?: null;
  chat_id: number;
  id?: number | string | null;
  limit?: number;
  traceparent?: unknown;
  type: "history";
}

/**
 * The response to `history` without an `id`.
 */
export interface HistoryAnswer {
  chat_id: number;
  last_seq: number;
  messages: Array<MessageObject>;
  type: "history";
}

/**
 * Get the messages that were created before a seq; without one, the newest.
 */
export interface HistoryBeforeCommand {
  after_seq?: null;
  before_seq?: number | null;
  chat_id: number;
  id?: number | string | null;
  limit?: number;
  traceparent?: unknown;
  type: "history";
}

/**
 * The same as in the response to a command without an `id`.
 */
export interface HistoryResult {
  last_seq: number;
  messages: Array<MessageObject>;
}

/**
 * The caller; `expires_at` is the end of the token.
 */
export interface MeObject {
  avatar_url: string;
  data?: Record<string, unknown>;
  display_name: string;
  expires_at: string;
  first_name: string;
  issuer?: string;
  last_name: string;
  sub?: string;
  user_id: number;
  username: string;
}

/**
 * What a member of a subscribed chat may do has changed.
 */
export interface MemberChangedPush {
  chat_id: number;
  muted_until: string | null;
  role: string;
  type: "member_changed";
  user_id: number;
}

/**
 * Members in ascending order of `user_id`; `next` is the `cursor` of the next page, null on the last one.
 */
export interface MemberList {
  members: Array<MemberObject>;
  next: string | null;
}

/**
 * A member of a chat, who has read up to `read_seq`; `muted_until` is absent if it is not muted.
 */
export interface MemberObject {
  avatar_url: string;
  display_name: string;
  first_name: string;
  last_name: string;
  muted_until?: string;
  read_seq: number;
  role: Role;
  user_id: number;
  username: string;
}

/**
 * The response to a retry without an `id`.
 */
export interface MessageAgain {
  chat_id: number;
  data: MessageObject;
  duplicate: boolean;
  type: "message";
}

/**
 * Send a message to a chat of which the user is a member; no subscription is needed.
 *
 * With an `id`, an ack confirms that it is stored. Sent again with the same `client_msg_id`, it is a retry of the same
 * message, without a time limit.
 */
export interface MessageCommand {
  chat_id: number;
  client_msg_id?: string | null;
  data?: null;
  id?: number | string | null;
  mentions?: Array<number> | null;
  reply_to?: number | null;
  text: string;
  traceparent?: unknown;
  type: "message";
}

/**
 * A message in its current state, as on the WebSockets. `seq` is that of the event that this object reports.
 *
 * A message of a service itself has the `kind` `system` and no `sender`. `by` is who has edited or deleted the message
 * of somebody else, null for a service.
 * `mentions` has the members whom the message mentions. `reply_count`, in pages of messages only, counts the replies.
 * `reactions` has the number of users of each key, and `own_reactions`, in pages, the caller's keys. Each of these is
 * absent if there is nothing to show.
 * `reaction` is there if the event is one: then `client_msg_id` is that of the reaction.
 */
export interface MessageObject {
  by?: PersonObject | null;
  client_msg_id: string;
  data?: Record<string, unknown>;
  id: number;
  is_deleted: boolean;
  is_edited: boolean;
  kind?: "system";
  mentions?: Array<number>;
  own_reactions?: Array<string>;
  reaction?: ReactionObject;
  reactions?: Record<string, number>;
  reply_count?: number;
  reply_to?: RepliedToObject;
  sender: PersonObject | null;
  seq: number;
  text: string;
  timestamp: string;
}

/**
 * Messages in ascending order; `last_seq` is the chat's last event, in the history `epoch`.
 */
export interface MessagePage {
  epoch: string;
  last_seq: number;
  messages: Array<MessageObject>;
}

/**
 * A message, an edit or a deletion: the message's current state under its own `id`, by which clients upsert.
 *
 * `data.seq` is that of the event: 1, 2, 3 … without holes in its chat. The text of a deleted message is "". A system
 * message has the `kind` `system` and no sender. `by` is who has edited or deleted the message of somebody else, null
 * for a service.
 */
export interface MessagePush {
  chat_id: number;
  data: MessageObject;
  type: "message";
}

/**
 * Another member has read up to `seq`; the user's own reads on other sockets are sent as `chat_read`.
 */
export interface MessagesReadPush {
  chat_id: number;
  display_name: string;
  seq: number;
  type: "messages_read";
  user_id: number;
  username: string;
}

/**
 * One of the caller's chats; `unread` counts the messages by others after the caller's read position, up to 100.
 *
 * A list in order of creation has none of the other fields. `mentions` counts those of the caller in unread messages,
 * up to 100. `last_message` is also absent if there is none, and in a
 * list without pages. `muted_until` is null, or when clients may notify the user of the chat's messages again.
 */
export interface OwnChatObject {
  archived?: boolean;
  data?: Record<string, unknown> | null;
  first_seq?: number;
  frozen: boolean;
  id: number;
  key: string | null;
  kind: ChatKind;
  last_activity_at?: string;
  last_message?: MessageObject;
  last_seq: number;
  member_count: number;
  members: Array<MemberObject>;
  mentions?: number;
  muted_until?: string | null;
  owner_id: number | null;
  pinned?: boolean;
  retention_days: number | null;
  slow_mode_s: number;
  title: string;
  unread: number;
}

/**
 * A user, as the sender of a message.
 *
 * People see `display_name`, which is never empty, over HTTP and on the multi-chat WebSocket; the others have none.
 */
export interface PersonObject {
  display_name?: string;
  first_name: string;
  id: number;
  last_name: string;
  username: string;
}

/**
 * Check the connection; the response is `pong`.
 */
export interface PingCommand {
  id?: number | string | null;
  traceparent?: unknown;
  type: "ping";
}

/**
 * The response to `ping`.
 */
export interface PongAnswer {
  id?: number | string;
  type: "pong";
}

/**
 * The response to `presence` with an `id`.
 */
export interface PresenceAck {
  chat_id: number;
  id: number | string;
  result: PresenceResult;
  type: "ack";
}

/**
 * The response to `presence` without an `id`.
 */
export interface PresenceAnswer {
  chat_id: number;
  members: Array<PresentObject>;
  type: "presence_state";
}

/**
 * Get the users who are connected to a chat.
 */
export interface PresenceCommand {
  chat_id: number;
  id?: number | string | null;
  traceparent?: unknown;
  type: "presence";
}

/**
 * The number of connected users: at most once a second, in a chat with more than 50.
 */
export interface PresenceCountPush {
  chat_id: number;
  count: number;
  type: "presence_count";
}

/**
 * A user connected or disconnected; not sent to that user. `presence_count` replaces it above 50 connected.
 */
export interface PresencePush {
  chat_id: number;
  display_name: string;
  status: "join" | "leave";
  type: "presence";
  user_id: number;
  username: string;
}

/**
 * The connected users, over all nodes.
 */
export interface PresenceResult {
  members: Array<PresentObject>;
}

/**
 * A user who is connected; `display_name` as for the sender of a message.
 */
export interface PresentObject {
  connected_at: string;
  display_name?: string;
  user_id: number;
  username: string;
}

/**
 * The body of every error response (RFC 9457). `code` is stable; `detail` is for people.
 *
 * `retry_after_s` is in whole seconds; `errors` names the fields that break a rule of accounts or chats.
 */
export interface ProblemDocument {
  code: string;
  detail: string;
  errors?: Array<BrokenRule>;
  retry_after_s?: number;
  status: number;
  title: string;
}

/**
 * Add a reaction to any message of the chat, or remove the user's own; with an `id`, an ack follows.
 *
 * If it is there already, or not there to remove, nothing is stored, and the ack has `duplicate` and no `seq`.
 */
export interface ReactCommand {
  chat_id: number;
  client_msg_id?: string | null;
  id?: number | string | null;
  key: string;
  message_id: number;
  remove?: boolean | null;
  traceparent?: unknown;
  type: "react";
}

/**
 * The response to `react` without an `id` if nothing was stored.
 */
export interface ReactionAgain {
  chat_id: number;
  client_msg_id?: string;
  counts: Record<string, number>;
  duplicate: boolean;
  key: string;
  message_id: number;
  removed: boolean;
  seq?: number;
  type: "reaction";
  user_id: number;
}

/**
 * A user's reaction to a message, or its removal; `counts` has the number of users of each key after it.
 *
 * `seq` is that of the event; it is absent if the reaction was there, or not there, already.
 */
export interface ReactionObject {
  counts: Record<string, number>;
  key: string;
  message_id: number;
  removed: boolean;
  seq?: number;
  user_id: number;
}

/**
 * A user has added a reaction to a message, or removed it. `counts` has the number of users of each key after it.
 *
 * An event with its own `seq`, like a message; the user who reacted gets it too.
 */
export interface ReactionPush {
  chat_id: number;
  client_msg_id: string;
  counts: Record<string, number>;
  key: string;
  message_id: number;
  removed: boolean;
  seq: number;
  type: "reaction";
  user_id: number;
}

/**
 * Move the user's read position; with a subscription, without `seq`, to the last event sent to this socket.
 */
export interface ReadMessagesCommand {
  chat_id: number;
  id?: number | string | null;
  seq?: number | null;
  traceparent?: unknown;
  type: "read_messages";
}

/**
 * Continue with another token of the same user, before the present one expires; nothing else changes.
 *
 * A token that is not valid, or is another user's, is the error `forbidden`; at most one refresh a second.
 */
export interface RefreshCommand {
  id?: number | string | null;
  token: string;
  traceparent?: unknown;
  type: "refresh";
}

/**
 * The response to `refresh`: the socket is closed with 4401 after `expires_at`, unless it is refreshed again.
 */
export interface RefreshedAnswer {
  expires_at: string;
  id?: number | string;
  type: "refreshed";
}

/**
 * The message to which another one replies. `text` has at most 120 characters of what it held then.
 *
 * Once the message is deleted, `text` is empty; `sender` is null if it is not stored any more.
 */
export interface RepliedToObject {
  id: number;
  sender: PersonObject | null;
  text: string;
}

/**
 * The client's position belongs to another history: the client must discard and reload the chat.
 */
export interface ResetPush {
  chat_id: number;
  epoch: string;
  last_seq: number;
  type: "reset";
}

/**
 * What a member is in its chat.
 */
export type Role = "client" | "master" | "member" | "moderator" | "reader" | "support";

/**
 * A message, an edit, a deletion or a reaction is stored; `duplicate` if it had been stored before.
 */
export interface StoredAck {
  chat_id: number;
  client_msg_id: string;
  duplicate?: boolean;
  epoch: string;
  id: number | string;
  message_id: number;
  seq: number;
  type: "ack";
}

/**
 * Subscribe to the pushes of a chat, after a replay of the events after `since`. A second one starts again.
 */
export interface SubscribeCommand {
  chat_id: number;
  id?: number | string | null;
  since?: number | string | null;
  traceparent?: unknown;
  type: "subscribe";
}

/**
 * Get the same, and `user_presence` when it changes, at most once a second a user; an empty list ends it.
 *
 * Replaces the users of an earlier command.
 */
export interface SubscribePresenceCommand {
  id?: number | string | null;
  traceparent?: unknown;
  type: "subscribe_presence";
  user_ids: Array<number>;
}

/**
 * The subscription is active; with `since`, the replay and `caught_up` follow before live messages.
 */
export interface SubscribedAck {
  chat_id: number;
  id?: number | string;
  result: SubscribedResult;
  type: "ack";
}

/**
 * The chat's last event, and its history.
 */
export interface SubscribedResult {
  epoch: string;
  last_seq: number;
}

/**
 * The socket will be closed with 4401 in so many seconds (30 or fewer), unless the client sends `refresh`.
 *
 * Only to a client that connected with `?refresh=1` or sent `hello` with `refresh`.
 */
export interface TokenExpiringPush {
  expires_in_s: number;
  type: "token_expiring";
}

/**
 * Retention has removed events below `first_seq` that the client has not seen: the replay goes on from there.
 */
export interface TruncatedPush {
  chat_id: number;
  first_seq: number;
  type: "truncated";
}

/**
 * Report that the user types, or has stopped. The others are notified at most every 2 s.
 */
export interface TypingCommand {
  chat_id: number;
  id?: number | string | null;
  is_typing: boolean;
  traceparent?: unknown;
  type: "typing";
}

/**
 * A user types, or has stopped typing; not sent to that user.
 */
export interface TypingPush {
  chat_id: number;
  display_name: string;
  is_typing: boolean;
  type: "typing";
  user_id: number;
  username: string;
}

/**
 * The response to `react` with an `id`, if the reaction was there already, or not there: nothing was stored.
 */
export interface UnreactedAck {
  chat_id: number;
  duplicate: boolean;
  id: number | string;
  message_id: number;
  type: "ack";
}

/**
 * What the caller has not read.
 *
 * `chats` and `mentions` up to 100, and `messages` up to 1,000, which stand for as many or more.
 */
export interface UnreadObject {
  chats: number;
  mentions: number;
  messages: number;
}

/**
 * End the subscription to a chat.
 */
export interface UnsubscribeCommand {
  chat_id: number;
  id?: number | string | null;
  traceparent?: unknown;
  type: "unsubscribe";
}

/**
 * Whether a user has a socket; `last_seen_at` is null for one who is online or was never seen.
 */
export interface UserPresenceObject {
  last_seen_at: string | null;
  online: boolean;
  user_id: number;
}

/**
 * A user of `subscribe_presence` has come online or gone offline.
 */
export interface UserPresencePush {
  last_seen_at: string | null;
  online: boolean;
  type: "user_presence";
  user_id: number;
}

/**
 * The response to `presence` of users with an `id`.
 */
export interface UsersPresenceAck {
  id: number | string;
  result: UsersPresenceResult;
  type: "ack";
}

/**
 * The response to `presence` of users without an `id`.
 */
export interface UsersPresenceAnswer {
  type: "users_presence";
  users: Array<UserPresenceObject>;
}

/**
 * Get whether users are online, who share a chat with the caller; others are offline, and were never seen.
 */
export interface UsersPresenceCommand {
  id?: number | string | null;
  traceparent?: unknown;
  type: "presence";
  user_ids: Array<number>;
}

/**
 * The users in the order of the request.
 */
export interface UsersPresenceResult {
  users: Array<UserPresenceObject>;
}

/** What a client sends. */
export type Command = HelloCommand | PingCommand | RefreshCommand | SubscribeCommand | UnsubscribeCommand | MessageCommand | EditMessageCommand | EditByIdCommand | DataMessageCommand | EditDataCommand | EditDataByIdCommand | DeleteMessageCommand | DeleteByIdCommand | ReactCommand | TypingCommand | ReadMessagesCommand | HistoryBeforeCommand | HistoryAfterCommand | PresenceCommand | SubscribePresenceCommand | UsersPresenceCommand;

/** What the gateway sends. */
export type Frame = HelloAnswer | PongAnswer | RefreshedAnswer | SubscribedAck | StoredAck | UnreactedAck | DoneAck | HistoryAck | UsersPresenceAck | UsersPresenceAnswer | PresenceAck | ErrorAnswer | MessageAgain | ReactionAgain | HistoryAnswer | PresenceAnswer | MessagePush | ReactionPush | TypingPush | MessagesReadPush | PresencePush | PresenceCountPush | CaughtUpPush | ResetPush | TruncatedPush | ChatAddedPush | ChatRemovedPush | ChatActivityPush | ChatReadPush | MemberChangedPush | ChatChangedPush | TokenExpiringPush | UserPresencePush | DirectPush;
