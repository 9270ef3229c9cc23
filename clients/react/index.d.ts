import type { Chat, ChatList, Client, Disconnected, Problem, Rejected } from "@chat-gateway/client";
import type { ReactElement, ReactNode } from "react";

/** Gives the hooks below it their client. */
export function ClientProvider(props: { client: Client; children?: ReactNode }): ReactElement;

type Shown<Source, Fields extends keyof Source> = Readonly<Pick<Source, Fields>>;

/** The client of the provider, and its connection. */
export function useClient(): { readonly client: Client } & Shown<
  Client,
  "state" | "closeCode" | "retryAt" | "lostAt" | "me" | "online"
>;

/** The user's chats by activity, live. */
export function useChats(): { readonly list: ChatList } & Shown<ChatList, "items" | "isLoaded" | "hasMore">;

type ChatFields = "messages" | "state" | "info" | "hasOlder" | "isLoading" | "typing" | "presence" | "readSeqs";

/** What is shown of a chat. */
export type ShownChat =
  | ({ readonly chat: Chat; readonly error: Problem | null } & Shown<
      Chat,
      ChatFields | "isSending" | "hasUnsent" | "held"
    >)
  /** The id of the key is not known yet, or there is no such chat for this user. */
  | ({
      readonly chat: null;
      readonly state: "opening" | "closed";
      readonly messages: readonly never[];
      readonly error: Rejected | Disconnected | null;
    } & { readonly [Field in Exclude<ChatFields, "messages" | "state">]?: undefined });

/** A chat by its id or key, open while the component is there. */
export function useChat(ref: number | string): ShownChat;
