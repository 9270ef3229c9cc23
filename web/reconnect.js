/** The delay before a reconnect, and the close codes that forbid it. */

const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 20_000;

/** The reasons of final closes; other codes from 4400 to 4999 get a sentence with their number. */
const FINAL = {
  4401: "Your session has ended. Please log in again.",
  4403: "You are not a member of this chat, or it does not exist.",
  4408: "This account has been blocked.",
  4409: "You opened this chat somewhere else, so it is paused here.",
  4410: "This room is full.",
  4429: "Too many requests were sent or refused. Please wait a minute before you come back.",
};

/** Milliseconds to wait before reconnect number `attempt` (0, 1, …): "full jitter", anything up to a doubling bound. */
export function fullJitter(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt);
}

/** The reason, as a sentence, why a connection closed with `code` must not reconnect; null if it may. */
export function finalReason(code) {
  if (code < 4400 || code > 4999) return null;
  return FINAL[code] ?? `The server has closed this chat (code ${code}).`;
}

/** The pause in ms that a close reason requests (`{"retry_after_ms": n}`); 0 if it requests none. */
export function requestedPause(reason) {
  try {
    return Number(JSON.parse(reason).retry_after_ms) || 0;
  } catch {
    return 0;
  }
}
