/** What a window keeps, where the browser refuses to. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { kept } from "../../web/kept.js";

for (const [name, storage] of Object.entries({
  "is blocked": { get: () => { throw new DOMException("blocked", "SecurityError"); } },
  "is full": { value: { getItem: () => null, setItem: () => { throw new DOMException("full", "QuotaExceededError"); }, removeItem() {} } },
  "does not exist": { value: undefined },
})) {
  test(`where storage ${name}, values live as long as the page`, () => {
    Object.defineProperty(globalThis, "sessionStorage", { configurable: true, ...storage });
    assert.equal(kept.getItem("a"), null);
    kept.setItem("a", "1");
    assert.equal(kept.getItem("a"), "1");
    kept.removeItem("a");
    assert.equal(kept.getItem("a"), null);
  });
}
