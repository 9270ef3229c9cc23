/**
 * The messages of one chat in the page. `paint` makes the list equal to the messages and changes only what differs: the
 * client replaces a message when it changes, so that an unchanged one costs a comparison. Every text is inserted as
 * text, never as markup.
 *
 * Only WINDOW messages have rows, so that a long history costs no more than a short one. Near an edge of them the window
 * moves on; the rows that stay keep their place.
 */

import { paintImages } from "./images.js";
import { clockOf, dayName, paintAvatar } from "./names.js";
import { namesOfReactions, paintReactions } from "./reactions.js";
import { piecesOf } from "./text.js";
import { t } from "./words.js";

const GROUP_GAP_MS = 5 * 60_000; // messages of one author within this time share a header
const NEAR_END_PX = 80;
const WINDOW = 200;
const STEP = 50; // messages by which the window moves
const EDGE_PX = 800; // distance to an edge at which it moves

export class MessageList {
  #scroller;
  #list;
  #template = document.getElementById("message-template");
  #rows = new Map(); // key → { row, message, … } as it was painted
  #byRow = new Map(); // row → key
  #below = 0; // the number of messages after the window
  #start = 0; // the place of its first message
  #painted = null; // the arguments of the last `paint`
  #follows = true; // whether the view was at the end when it was last scrolled
  #height = 0; // the last known height of the view
  #tabStop = null; // the row that Tab reaches

  /** `scroller` scrolls, `list` holds the rows. A view at the end stays there when its height changes. */
  constructor(scroller, list) {
    this.#scroller = scroller;
    this.#list = list;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("focusin", () => this.#moveTabStop());
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  get isAtEnd() {
    return this.#below === 0 && this.#distanceToEnd < NEAR_END_PX;
  }

  /** Whether the first message has a row. */
  get isAtStart() {
    return this.#start === 0;
  }

  /** Whether the view is so near to an edge of the window that the next `paint` moves it. */
  get isNearEdge() {
    return (this.#start > 0 && this.#scroller.scrollTop < EDGE_PX) || (this.#below > 0 && this.#distanceToEnd < EDGE_PX);
  }

  get #distanceToEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight;
  }

  scrollToEnd() {
    if (this.#below > 0) this.#moveTo(0);
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Runs a `change` of the layout and keeps a view at the end there. */
  keepEnd(change) {
    const wasAtEnd = this.isAtEnd;
    change();
    if (wasAtEnd) this.scrollToEnd();
  }

  clear() {
    this.#below = this.#start = 0;
    this.#painted = null;
    this.#rows.clear();
    this.#byRow.clear();
    this.#list.replaceChildren();
  }

  /** The message whose row is or holds `element`, if any. */
  messageOf(element) {
    return this.#rows.get(this.#byRow.get(element?.closest(".message")))?.message;
  }

  /** The row of a message, for focus. */
  rowOf(message) {
    return message && this.#rows.get(keyOf(message))?.row;
  }

  /** Scrolls to the message and focuses it. */
  show(message) {
    const { messages } = this.#painted;
    const place = messages.indexOf(message);
    if (place < 0) return;
    if (!this.rowOf(message)) this.#moveTo(messages.length - place - WINDOW / 2);
    const row = this.rowOf(message);
    row?.scrollIntoView({ block: "center" });
    row?.focus({ preventScroll: true });
  }

  /**
   * Shows `messages` as user `myId` sees them. `nameOfId(sender)` is a person's name, `tickOf(message)` the state of an
   * own message as `[symbol, words]`; the first unread message has the seq `unreadSeq`, if any.
   * Visible messages keep their place; at the end of the list the view follows.
   */
  paint(messages, { myId, nameOfSender, tickOf, unreadSeq }) {
    const wasAtEnd = this.isAtEnd;
    const anchor = wasAtEnd ? null : this.#firstVisible();
    const anchorTop = anchor?.offsetTop;
    this.#moveWindow(messages);
    this.#painted = { messages, view: { myId, nameOfSender, tickOf, unreadSeq } };
    const end = messages.length - this.#below;
    const shown = messages.slice(this.#start, end);
    const present = new Set(shown.map(keyOf));
    for (const [key, { row }] of this.#rows) {
      if (present.has(key)) continue;
      this.#rows.delete(key);
      this.#byRow.delete(row);
      row.remove();
    }
    let place = this.#list.firstElementChild;
    shown.forEach((message, index) => {
      const known = this.#rowFor(message);
      if (known.row === place) place = place.nextElementSibling;
      else this.#list.insertBefore(known.row, place);
      const isMine = message.sender?.id === myId;
      const [symbol, words] = (isMine && tickOf(message)) || ["", ""];
      const name = message.sender ? nameOfSender(message.sender) : "";
      const previous = messages[this.#start + index - 1];
      const isUnread = unreadSeq !== null && message.seq === unreadSeq;
      const look = `${symbol}|${words}|${name}|${isUnread}`;
      if (known.message === message && known.previous === previous && known.look === look) return;
      Object.assign(known, { message, previous, look });
      paintRow(known.row, message, { previous, isMine, name, symbol, words, isUnread, myId, nameOfSender });
    });
    this.#moveTabStop();
    if (wasAtEnd) this.scrollToEnd();
    else if (anchor?.isConnected) this.#scroller.scrollTop += anchor.offsetTop - anchorTop;
  }

  /** Tab reaches one row: the one with the focus, else the last. The arrows reach the others. */
  #moveTabStop() {
    const row = document.activeElement.closest(".message") ?? this.#list.lastElementChild;
    if (row === this.#tabStop) return;
    if (this.#tabStop) this.#tabStop.tabIndex = -1;
    if (row) row.tabIndex = 0;
    this.#tabStop = row;
  }

  /** Moves the window with what has come after it, and by a step where the view is near its edge. */
  #moveWindow(messages) {
    const known = this.#painted?.messages;
    if (!known) return this.#clampTo(messages, this.#below);
    if (this.#below > 0 && known.length > 0) {
      const last = keyOf(known.at(-1));
      const place = messages.findLastIndex((message) => keyOf(message) === last);
      if (place >= 0) this.#below += messages.length - 1 - place;
    }
    if (this.#start > 0 && this.#scroller.scrollTop < EDGE_PX) this.#below += STEP;
    else if (this.#below > 0 && this.#distanceToEnd < EDGE_PX) this.#below -= STEP;
    return this.#clampTo(messages, this.#below);
  }

  #clampTo({ length }, below) {
    this.#below = Math.max(0, Math.min(below, length - WINDOW));
    this.#start = Math.max(0, length - this.#below - WINDOW);
  }

  /** Paints again with `below` messages after the window. */
  #moveTo(below) {
    const { messages, view } = this.#painted;
    this.#scroller.scrollTop = EDGE_PX + 1; // not at an edge
    this.#clampTo(messages, below);
    this.#painted = null; // the window is where it is wanted
    this.paint(messages, view);
  }

  #scrolled() {
    if (this.#scroller.clientHeight === this.#height) this.#follows = this.isAtEnd; // else the change of height moved it
  }

  #resized() {
    this.#height = this.#scroller.clientHeight;
    if (this.#follows) this.scrollToEnd();
  }

  #rowFor(message) {
    const key = keyOf(message);
    let known = this.#rows.get(key);
    if (!known) {
      known = { row: this.#template.content.firstElementChild.cloneNode(true), message: null };
      this.#rows.set(key, known);
      this.#byRow.set(known.row, key);
    }
    return known;
  }

  #firstVisible() {
    const top = this.#scroller.scrollTop;
    let [low, high] = [0, this.#list.children.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = this.#list.children[middle];
      if (row.offsetTop + row.offsetHeight > top) high = middle;
      else low = middle + 1;
    }
    return this.#list.children[low];
  }
}

/** The same before and after a message is stored. */
function keyOf({ client_msg_id: clientMsgId, id, sender }) {
  return clientMsgId ? `${sender?.id}:${clientMsgId}` : id;
}

function paintRow(row, message, { previous, isMine, name, symbol, words, isUnread, myId, nameOfSender }) {
  const at = new Date(message.timestamp);
  const before = previous && new Date(previous.timestamp);
  const isNewDay = at.toDateString() !== before?.toDateString();
  const isSameAuthor = previous?.sender?.id === message.sender?.id;
  const isNewGroup = isNewDay || isUnread || !isSameAuthor || at - before > GROUP_GAP_MS;
  const isSystem = message.kind === "system";
  const isStored = message.id !== null && !message.is_deleted;
  const isFailed = message.status === "rejected";
  const part = (selector) => row.querySelector(selector);
  const toggles = {
    mine: isMine, system: isSystem, "new-group": isNewGroup, "new-day": isNewDay, "first-unread": isUnread, deleted: message.is_deleted,
    pending: message.id === null, failed: isFailed, mentions: message.mentions?.includes(myId) === true,
  };
  for (const [className, isSet] of Object.entries(toggles)) row.classList.toggle(className, Boolean(isSet));
  part(".day").textContent = isNewDay ? dayName(at) : "";
  part(".unread-line").hidden = !isUnread;
  paintAvatar(part(".avatar"), message.sender?.id ?? 0, name);
  part(".author").textContent = name;
  paintQuote(part(".quote"), message.is_deleted ? null : message.reply_to, nameOfSender);
  const pieces = message.is_deleted ? [{ text: t("This message was deleted.") }] : piecesOf(message.text);
  part(".text").replaceChildren(...pieces.map(nodeOf));
  paintImages(part(".images"), pieces);
  row.setAttribute("aria-label", spoken(message, { isMine, name, text: part(".text").textContent, time: clockOf(at), words }));
  part(".edited").hidden = !message.is_edited || message.is_deleted;
  part("time").textContent = clockOf(at);
  part("time").dateTime = message.timestamp;
  part("time").title = at.toLocaleString();
  part(".ticks").toggleAttribute("hidden", !symbol || message.is_deleted);
  part(".ticks").dataset.tick = symbol;
  part(".ticks").setAttribute("aria-label", words);
  part("use").setAttribute("href", `#tick-${symbol}`);
  part(".actions").hidden = !isStored && !isFailed;
  for (const own of [".act-react", ".act-reply"]) part(own).hidden = !isStored;
  for (const own of [".act-edit", ".act-delete"]) part(own).hidden = !isMine;
  paintReactions(part(".reactions"), message);
  part(".act-delete").textContent = t(isFailed ? "Discard" : "Delete");
  part(".failure").textContent = isFailed ? t("Not sent. {why}", { why: message.error?.message ?? "" }) : "";
}

/** What a screen reader says of a row that has the focus. */
function spoken(message, { isMine, name, text, time, words }) {
  const sentence = isMine ? t("You: {text}", { text }) : name ? `${name}: ${text}` : text;
  if (message.is_deleted) return `${sentence}, ${time}`;
  const quoted = message.reply_to && t("replies to: {text}", { text: message.reply_to.text || t("Message deleted") });
  const edited = message.is_edited && t("edited");
  return [sentence, quoted, edited, time, words, ...namesOfReactions(message)].filter(Boolean).join(", ");
}

function paintQuote(quote, parent, nameOfSender) {
  quote.hidden = !parent;
  if (!parent) return;
  quote.dataset.id = parent.id;
  quote.querySelector(".quote-author").textContent = parent.sender ? nameOfSender(parent.sender) : "";
  quote.querySelector(".quote-text").textContent = parent.text || t("Message deleted");
}

/** A piece of a text: a text node, within a link if it is a URL. */
function nodeOf({ text, href }) {
  if (!href) return document.createTextNode(text);
  const link = document.createElement("a");
  Object.assign(link, { href, textContent: text, dir: "ltr", target: "_blank", rel: "noopener noreferrer nofollow" });
  return link;
}
