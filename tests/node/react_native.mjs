/**
 * Takes from Node what React Native lacks and the client could use. Loaded before the driver, it leaves what an
 * application of React Native gives to a client: WebSocket and storage.
 */

const ABSENT = ["WebSocket", "crypto", "navigator", "structuredClone", "atob", "BroadcastChannel", "EventSource", "localStorage"];
const ABSENT_TOO = ["window", "document", "indexedDB", "sessionStorage", "addEventListener"];

for (const name of [...ABSENT, ...ABSENT_TOO]) {
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true, writable: true });
}
