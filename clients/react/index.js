import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";

const ClientContext = createContext(null);
const NOTHING = { version: 0, on: () => () => {} };
const CLIENT = ["state", "closeCode", "retryAt", "lostAt", "me", "online"];
const LIST = ["items", "isLoaded", "hasMore"];
const CHAT = ["state", "error", "info", "messages", "hasOlder", "isLoading", "typing", "presence", "readSeqs"];
const SENDING = ["isSending", "hasUnsent", "held"];

/** Gives the hooks below it their client. */
export function ClientProvider({ client, children }) {
  return createElement(ClientContext.Provider, { value: client }, children);
}

/** The client of the provider, and its connection: `{client, state, me, …}`. */
export function useClient() {
  const client = useContext(ClientContext);
  if (client === null) throw new Error("There is no ClientProvider above this component.");
  return useSnapshot("client", client, CLIENT);
}

/** The user's chats, live: `{list, items, isLoaded, hasMore}`. */
export function useChats() {
  return useSnapshot("list", useClient().client.chats, LIST);
}

/**
 * A chat by its id or key, open while the component is there: `{chat, state, messages, …}`.
 *
 * `chat` is null until the id of a key is known.
 */
export function useChat(ref) {
  const { client } = useClient();
  const [found, setFound] = useState({});
  const isCurrent = found.ref === ref && found.client === client;
  const chat = typeof ref === "number" ? client.chat(ref) : ((isCurrent && found.chat) || null);

  useEffect(() => {
    if (typeof ref === "number") return undefined;
    let isWanted = true;
    const take = (result) => isWanted && setFound({ ref, client, ...result });
    client.chat(ref).then((one) => take({ chat: one }), (error) => take({ error }));
    return () => {
      isWanted = false;
    };
  }, [client, ref]);
  useEffect(() => chat?.open(), [chat]);

  const shown = useSnapshot("chat", chat, [...CHAT, ...SENDING]);
  if (chat !== null) return shown;
  const error = (isCurrent && found.error) || null;
  return { ...shown, state: error ? "closed" : "opening", error, messages: [] };
}

/** An object that is another one after every change of `source`, so that memoised components notice. */
function useSnapshot(name, source, fields) {
  const emitter = source ?? NOTHING;
  const subscribe = useCallback((listener) => emitter.on("change", listener), [emitter]);
  const version = useSyncExternalStore(subscribe, () => emitter.version, () => emitter.version);
  return useMemo(
    () => ({ [name]: source, ...Object.fromEntries(fields.map((field) => [field, source?.[field]])) }),
    [source, version], // the names never change
  );
}
