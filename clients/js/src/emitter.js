/** What listeners can be added to. Many changes in one turn of the event loop cause one `change`. */
export class Emitter {
  /** Grows with every change: a snapshot for `useSyncExternalStore`. */
  version = 0;
  #listeners = new Map();
  #isScheduled = false;

  /** Calls `listener(detail)` at every `event`. Returns the function that removes it. */
  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => void this.#listeners.get(event).delete(listener);
  }

  _emit(event, detail) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // it must not end the client's own work
        });
      }
    }
  }

  _changed() {
    this.version += 1;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this._emit("change", this);
    });
  }
}
