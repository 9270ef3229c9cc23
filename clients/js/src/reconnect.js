/** When to connect again: after a random delay that grows, or when the gateway says so. */

const FIRST_MS = 500;
const LONGEST_MS = 20_000;
const LONGEST_HINT_MS = 600_000;
const BROKEN = new Set([1002, 1007, 1009]); // this side broke the protocol: it would do so again

/** Milliseconds before attempt number `attempt` (0, 1, …): "full jitter", anything up to a doubling bound. */
export function fullJitter(attempt, random = Math.random) {
  return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
}

/** Whether the close code allows to connect again (docs/protocol.md, "Close codes"). */
export function mayReconnect(code) {
  return !(code >= 4400 && code < 5000) && !BROKEN.has(code);
}

/** The milliseconds that a close reason asks for (`{"retry_after_ms": n}`), or null. */
export function hintOf(reason) {
  try {
    const { retry_after_ms: hint } = JSON.parse(reason);
    return hint >= 0 && hint <= LONGEST_HINT_MS ? hint : null;
  } catch {
    return null;
  }
}
