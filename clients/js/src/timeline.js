const HELD = 1_000;

/**
 * The messages of a chat as one client knows them: each once, in order of creation, in its newest state. Has no I/O.
 *
 * A message is the object of the protocol, with its place (`seq`: its creation), `version` (the event of its present
 * state) and `status`. A changed message is a new object. An edit of a message older than everything loaded has no
 * place yet; it waits until a page of history has its message.
 *
 * The newest HELD messages are kept, and beside them as many as there were after the last page of history. What was
 * dropped is in the pages.
 */
export class Timeline {
  epoch = null; // the history to which every seq here belongs
  lastSeq = null;
  isComplete = false; // whether the beginning of the chat is loaded
  isLoading = false; // whether a page is on its way: what is after it must not be dropped before it is there
  #limit = HELD;
  #placed = []; // by seq
  #unsent = []; // own messages that are not acknowledged, in the order of sending
  #byId = new Map();
  #all = null;

  /** Every message to show, in order; a new array after every change. */
  get messages() {
    return (this.#all ??= [...this.#placed, ...this.#unsent]);
  }

  /** The value of `since` that continues after the last event; null before the first connection. */
  get position() {
    if (this.lastSeq === null) return null;
    return this.epoch === null ? `${this.lastSeq}` : `${this.epoch}:${this.lastSeq}`;
  }

  set position(since) {
    const [, epoch = null, seq] = /^(?:(.*):)?(\d+)$/.exec(since);
    this.epoch = epoch;
    this.lastSeq = +seq;
  }

  /** The creation of the oldest loaded message. */
  get firstSeq() {
    return this.#placed[0]?.seq;
  }

  get(id) {
    return this.#byId.get(id);
  }

  /** Applies a message as an event tells it. Returns false if it is known already. */
  apply(data, isOwn) {
    if (!this.#advance(data.seq)) return false;
    if (isOwn) this.forget(data.client_msg_id);
    const known = this.#byId.get(data.id);
    if (known) this.#replace(known, stateOf(data, known));
    else {
      this.#add(data, !this.#isOfUnloadedPast(data));
      this.#countReply(data);
    }
    if (data.is_deleted) this.#clearQuotes(data.id);
    return true;
  }

  /** Applies the event of a reaction; `isOwn`: it is the user's. Returns false if it is known already. */
  react({ message_id: id, key, removed, counts, seq }, isOwn) {
    if (!this.#advance(seq)) return false;
    const known = this.#byId.get(id);
    if (known && !known.is_deleted) {
      this.#replace(known, { reactions: counts, version: seq });
      if (isOwn) this.setOwnReaction(id, key, removed);
    }
    return true;
  }

  setOwnReaction(id, key, isRemoved) {
    const known = this.#byId.get(id);
    const others = known?.own_reactions?.filter((own) => own !== key) ?? [];
    if (known) this.#replace(known, { own_reactions: isRemoved ? others : [...others, key] });
  }

  /** Applies a page of history: the place of each message, and its state unless an event had a newer one. */
  prepend(page) {
    for (const data of page) {
      const known = this.#byId.get(data.id);
      if (!known) this.#add(data, true);
      else if (known.seq === null) this.#place({ ...known, seq: data.seq });
    }
    if (page.length === 0 || page[0].seq === 1) this.isComplete = true;
    this.#limit = this.#placed.length + HELD; // so that who reads it does not lose it to what comes next
  }

  /** Drops all but the newest HELD messages. */
  shrink() {
    this.#limit = HELD;
    this.#keepLimit();
  }

  /** Everything before `firstSeq` was removed by the retention of the chat. */
  truncate(firstSeq) {
    this.#drop(this.#indexOf(firstSeq));
    this.isComplete = true;
  }

  /** Shows an own message that the gateway does not have, or changes how it is shown. */
  showUnsent(message) {
    const index = this.#unsent.findIndex((other) => other.client_msg_id === message.client_msg_id);
    if (index < 0) this.#unsent.push(message);
    else this.#unsent[index] = message;
    this.#all = null;
  }

  /** Removes an own message that was not sent. */
  forget(clientMsgId) {
    this.#unsent = this.#unsent.filter((other) => other.client_msg_id !== clientMsgId);
    this.#all = null;
  }

  /** Makes an own message the stored one; its event has come before, or will come. */
  acknowledge(clientMsgId, id, seq) {
    const unsent = this.#unsent.find((other) => other.client_msg_id === clientMsgId);
    this.forget(clientMsgId);
    if (!unsent || this.#byId.has(id) || (!this.isComplete && seq < this.firstSeq)) return;
    this.#place({ ...unsent, id, seq, version: seq, status: "stored" });
    this.#countReply(unsent);
  }

  /** The unsent messages of this chat continue in another history. */
  restarted(epoch, lastSeq) {
    return Object.assign(new Timeline(), { epoch, lastSeq }).#with(this.#unsent);
  }

  #with(unsent) {
    this.#unsent = unsent;
    return this;
  }

  #advance(seq) {
    if (this.lastSeq !== null && seq <= this.lastSeq) return false;
    this.lastSeq = seq;
    return true;
  }

  #isOfUnloadedPast(data) {
    if (this.isComplete || !(data.is_edited || data.is_deleted)) return false;
    return this.#placed.length === 0 || data.id < this.#placed[0].id;
  }

  #add(data, isPlaced) {
    const message = { ...stateOf(data), seq: null };
    if (isPlaced) this.#place({ ...message, seq: data.seq });
    else this.#wait(message);
  }

  #wait(message) {
    this.#byId.set(message.id, message);
    for (const [id, { seq }] of this.#byId) {
      if (seq === null && this.#byId.size > this.#placed.length + HELD) this.#byId.delete(id); // the oldest
    }
  }

  #countReply({ reply_to: quoted }) {
    const parent = this.#byId.get(quoted?.id);
    if (parent) this.#replace(parent, { reply_count: (parent.reply_count ?? 0) + 1 });
  }

  #replace(known, changes) {
    const message = { ...known, ...changes };
    this.#byId.set(known.id, message);
    if (known.seq !== null) this.#placed[this.#indexOf(known.seq)] = message;
    this.#all = null;
  }

  #place(message) {
    this.#byId.set(message.id, message);
    this.#placed.splice(this.#indexOf(message.seq), 0, message);
    this.#all = null;
    this.#keepLimit();
  }

  #keepLimit() {
    if (this.isLoading || this.#placed.length <= this.#limit) return;
    this.#drop(this.#placed.length - this.#limit);
    this.isComplete = false;
  }

  /** Drops the oldest `count` messages. */
  #drop(count) {
    for (const { id } of this.#placed.splice(0, count)) this.#byId.delete(id);
    this.#all = null;
  }

  /** A deleted message is quoted without its text. */
  #clearQuotes(id) {
    for (const message of this.#placed.filter(({ reply_to: quoted }) => quoted?.id === id && quoted.text)) {
      this.#replace(message, { reply_to: { ...message.reply_to, text: "" } });
    }
  }

  /** Where a message of this seq is, or belongs. */
  #indexOf(seq) {
    let [low, high] = [0, this.#placed.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#placed[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The state of a message in an event or a page. Pushes have neither the user's own reactions nor the number of replies;
 * the `client_msg_id` of an edit or a deletion is that of the command, so a known message keeps its own.
 */
function stateOf(data, known) {
  const { seq, reaction: _, ...state } = data;
  const reactions = data.reactions ?? {};
  const own = (data.own_reactions ?? known?.own_reactions ?? []).filter((key) => Object.hasOwn(reactions, key));
  const id = known ? { client_msg_id: known.client_msg_id } : {};
  return { ...state, ...id, reactions, own_reactions: own, version: seq, status: "stored", error: null };
}
