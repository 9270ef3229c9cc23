/**
 * The messages of a chat as one client knows them: each once, in order of creation, in its newest state. Pure: no I/O.
 *
 * An edit or deletion arrives as the new state of the message under a later seq, so a message has two positions: `seq`
 * (its creation), which gives its place, and `version`, the event of its present state. An event of a message older
 * than everything loaded has no place yet; it waits until a page of history has its message.
 */
export class Timeline {
  epoch = null; // the history that every seq here belongs to
  lastSeq = null;
  complete = false; // whether the beginning of the chat is loaded
  entries = []; // placed messages, by seq
  pending = []; // own messages that are not acknowledged, in the order of sending
  #byId = new Map();

  /** Every entry to show, in order. */
  get all() {
    return [...this.entries, ...this.pending];
  }

  /** The value of `since` to resume after the last event; null before the first connection. */
  get position() {
    if (this.lastSeq === null) return null;
    return this.epoch === null ? `${this.lastSeq}` : `${this.epoch}:${this.lastSeq}`;
  }

  /** Applies a live or replayed event. A `duplicate` response is out of sequence and moves no position. */
  apply(data, { duplicate = false } = {}) {
    if (!duplicate) {
      if (this.lastSeq !== null && data.seq <= this.lastSeq) return;
      this.lastSeq = data.seq;
    }
    const known = this.#byId.get(data.id);
    if (known) this.#update(known, data);
    else this.#add(data, !this.#isOfUnloadedPast(data));
  }

  /** Applies a `reaction` push, or the response to one that changed nothing; `myId` is the user's id. */
  react({ message_id: id, key, user_id: userId, removed, counts, seq, duplicate = false }, myId) {
    if (seq !== undefined) {
      if (duplicate || (this.lastSeq !== null && seq <= this.lastSeq)) return; // the event itself arrives in its place
      this.lastSeq = seq;
    }
    const entry = this.#byId.get(id);
    if (!entry || entry.isDeleted) return;
    entry.version = seq ?? entry.version;
    entry.reactions = counts;
    if (userId === myId) entry.ownReactions = entry.ownReactions.filter((own) => own !== key).concat(removed ? [] : key);
  }

  /** Applies a page of history: the place of each message, and its state unless an event had a newer one. */
  prepend(page) {
    for (const data of page) {
      const known = this.#byId.get(data.id);
      if (!known) this.#add(data, true);
      else if (known.seq === null) this.#place(known, data.seq);
    }
    if (page.length === 0 || page[0].seq === 1) this.complete = true;
  }

  /** Adds an own message before the server has it. */
  expect(text, sender, clientMsgId, timestamp) {
    const entry = newEntry({ text, sender, client_msg_id: clientMsgId, timestamp });
    this.pending.push(entry);
    return entry;
  }

  /** Removes `entry`, which was pending. */
  forget(entry) {
    this.pending = this.pending.filter((other) => other !== entry);
  }

  /** Makes `entry`, which was pending, the stored message `data`. */
  acknowledge(entry, data) {
    this.forget(entry);
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
    const { id, text, sender, timestamp, is_edited: isEdited, is_deleted: isDeleted, reactions = {} } = data;
    const ownReactions = (data.own_reactions ?? entry.ownReactions).filter((key) => Object.hasOwn(reactions, key)); // pushes lack them
    const isSystem = data.kind === "system";
    const state = { isSystem, isEdited, isDeleted, reactions, ownReactions, version: data.seq, failure: null };
    Object.assign(entry, { id, text, sender, timestamp, ...state });
  }

  #place(entry, seq) {
    entry.seq = seq;
    let index = this.entries.length; // nearly always at the end, so search from there
    while (index > 0 && this.entries[index - 1].seq > seq) index -= 1;
    this.entries.splice(index, 0, entry);
  }
}

function newEntry({ text, sender, timestamp, client_msg_id: clientMsgId }) {
  const state = { isSystem: false, isEdited: false, isDeleted: false, reactions: {}, ownReactions: [], version: -1, failure: null };
  return { id: null, seq: null, clientMsgId, text, sender, timestamp, ...state };
}
