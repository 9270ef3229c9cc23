/**
 * The messages of a chat as one client knows them: each once, in order of creation, in its newest state. Pure: no I/O.
 *
 * An edit or deletion comes as the message's new state under a later seq, so a message has two positions: `seq`, where
 * it stands (its creation), and `version`, the event that its state is of. An event of a message that is older than
 * anything loaded has no place yet; it waits, unplaced, until history shows where it belongs.
 */
export class Timeline {
  lastSeq = null;
  complete = false; // whether the beginning of the chat is loaded
  entries = []; // placed messages, by seq
  pending = []; // one's own that are not acknowledged, in the order of sending
  #byId = new Map();

  /** Every entry to show, in order. */
  get all() {
    return [...this.entries, ...this.pending];
  }

  /** Takes a live or replayed event. A `duplicate` answer is out of sequence and moves no position. */
  apply(data, { duplicate = false } = {}) {
    if (!duplicate) {
      if (this.lastSeq !== null && data.seq <= this.lastSeq) return;
      this.lastSeq = data.seq;
    }
    const known = this.#byId.get(data.id);
    if (known) this.#update(known, data);
    else this.#add(data, !this.#isOfUnloadedPast(data));
  }

  /** Takes a page of history: the place of each message; its state only where no event has told a newer one. */
  prepend(page) {
    for (const data of page) {
      const known = this.#byId.get(data.id);
      if (!known) this.#add(data, true);
      else if (known.seq === null) this.#place(known, data.seq);
    }
    if (page.length === 0 || page[0].seq === 1) this.complete = true;
  }

  /** One's own message, before the server has it. */
  expect(text, sender, clientMsgId) {
    const entry = newEntry({ text, sender, client_msg_id: clientMsgId, timestamp: new Date().toISOString() });
    this.pending.push(entry);
    return entry;
  }

  /** `entry`, which was pending, is the stored message `data` from here on. */
  acknowledge(entry, data) {
    this.pending = this.pending.filter((other) => other !== entry);
    if (this.#byId.has(data.id)) return;
    this.#byId.set(data.id, entry);
    this.#update(entry, data);
    this.#place(entry, data.seq);
  }

  #isOfUnloadedPast(data) {
    if (this.complete || !(data.is_edited || data.is_deleted)) return false;
    return this.entries.length === 0 || data.timestamp < this.entries[0].timestamp;
  }

  #add(data, isPlaced) {
    const entry = newEntry(data);
    this.#byId.set(data.id, entry);
    this.#update(entry, data);
    if (isPlaced) this.#place(entry, data.seq);
  }

  #update(entry, data) {
    if (data.seq <= entry.version) return;
    const { id, text, sender, timestamp, is_edited: isEdited, is_deleted: isDeleted } = data;
    Object.assign(entry, { id, text, sender, timestamp, isEdited, isDeleted, version: data.seq, failure: null });
  }

  #place(entry, seq) {
    entry.seq = seq;
    let index = this.entries.length; // nearly always the end, so look from there
    while (index > 0 && this.entries[index - 1].seq > seq) index -= 1;
    this.entries.splice(index, 0, entry);
  }
}

function newEntry({ text, sender, timestamp, client_msg_id: clientMsgId }) {
  const state = { isEdited: false, isDeleted: false, version: -1, failure: null };
  return { id: null, seq: null, clientMsgId, text, sender, timestamp, ...state };
}
