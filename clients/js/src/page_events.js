/** Wakes a client when its page becomes visible, the network returns or a page is restored (bfcache). */

const OFFLINE_ANSWER_MS = 2_000;

/** Returns the function that ends it. Outside of browsers nothing happens. */
export function followPage(client) {
  const { document } = globalThis;
  if (!document?.addEventListener) return () => {};
  const onVisible = () => document.hidden || client.wake();
  const listeners = [
    [globalThis, "online", () => client.wake()],
    [globalThis, "offline", () => client.probe(OFFLINE_ANSWER_MS)],
    [globalThis, "pagehide", () => client.suspend()], // an open socket or a held lock keeps a page out of the cache
    [globalThis, "pageshow", () => client.resume()],
    [document, "visibilitychange", onVisible],
  ];
  for (const [target, event, listener] of listeners) target.addEventListener(event, listener);
  return () => {
    for (const [target, event, listener] of listeners) target.removeEventListener(event, listener);
  };
}
