/**
 * The messages of one chat in the page. `paint` makes the list equal to the timeline and changes only what differs.
 * Every text is inserted as text, never as markup.
 */

import { paintReactions } from "./reactions.js";
import { piecesOf } from "./text.js";

const GROUP_GAP_MS = 5 * 60_000; // messages of one author within this time share a header
const NEAR_END_PX = 80;

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** The displayed name of a person: the display name, else first and last name, else the login. */
export function nameOf({ display_name: name = "", first_name: first = "", last_name: last = "", username }) {
  return name || `${first} ${last}`.trim() || username;
}

/** Fills an avatar: an initial in a colour that depends only on `id`. */
export function paintAvatar(element, id, name) {
  element.textContent = [...name][0]?.toUpperCase() ?? "";
  element.dataset.hue = id % 8;
}

export class MessageList {
  #scroller;
  #list;
  #template = document.getElementById("message-template");
  #rows = new Map(); // entry → its row
  #follows = true; // whether the view was at the end when it was last scrolled
  #height = 0; // the last known height of the view

  /** `scroller` scrolls, `list` holds the rows. A view at the end stays there when its height changes. */
  constructor(scroller, list) {
    this.#scroller = scroller;
    this.#list = list;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  get isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Runs a `change` of the layout and keeps a view at the end there. */
  keepEnd(change) {
    const wasAtEnd = this.isAtEnd;
    change();
    if (wasAtEnd) this.scrollToEnd();
  }

  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  /** The entry whose row is or holds `element`, if any. */
  entryOf(element) {
    const row = element?.closest(".message");
    return row && this.#entries().find((entry) => this.#rows.get(entry) === row);
  }

  /** The row of `entry`, for focus. */
  rowOf(entry) {
    return this.#rows.get(entry);
  }

  /**
   * Shows `entries` as user `myId` sees them, with the author's `authorOf(entry)`; `tickOf(entry)` returns the state of an own message as `[symbol, words]`.
   * Visible messages keep their place; at the end of the list the view follows.
   */
  paint(entries, myId, authorOf, tickOf) {
    const wasAtEnd = this.isAtEnd;
    const anchor = wasAtEnd ? null : this.#firstVisible();
    const anchorTop = anchor?.offsetTop;
    const present = new Set(entries);
    for (const [entry, row] of this.#rows) if (!present.has(entry)) this.#remove(entry, row);
    entries.forEach((entry, index) => {
      const row = this.#rowFor(entry);
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
      const isMine = entry.sender.id === myId;
      paintRow(row, entry, entries[index - 1], isMine, authorOf(entry), isMine ? tickOf(entry) : null);
    });
    if (wasAtEnd) this.scrollToEnd();
    else if (anchor?.isConnected) this.#scroller.scrollTop += anchor.offsetTop - anchorTop;
  }

  #scrolled() {
    if (this.#scroller.clientHeight === this.#height) this.#follows = this.isAtEnd; // else the change of height moved it
  }

  #resized() {
    this.#height = this.#scroller.clientHeight;
    if (this.#follows) this.scrollToEnd();
  }

  #entries() {
    return [...this.#rows.keys()];
  }

  #rowFor(entry) {
    let row = this.#rows.get(entry);
    if (!row) {
      row = this.#template.content.firstElementChild.cloneNode(true);
      this.#rows.set(entry, row);
    }
    return row;
  }

  #remove(entry, row) {
    this.#rows.delete(entry);
    row.remove();
  }

  #firstVisible() {
    const top = this.#scroller.scrollTop;
    return [...this.#list.children].find((row) => row.offsetTop + row.offsetHeight > top);
  }
}

function paintRow(row, entry, previous, isMine, name, tick) {
  const at = new Date(entry.timestamp);
  const before = previous && new Date(previous.timestamp);
  const isNewDay = at.toDateString() !== before?.toDateString();
  const isNewGroup = isNewDay || previous.sender.id !== entry.sender.id || at - before > GROUP_GAP_MS;
  const [symbol, words] = tick ?? ["", ""];
  const { reactions, ownReactions } = entry;
  const look = [entry.version, entry.failure, isNewDay, isNewGroup, name, symbol, words, JSON.stringify([reactions, ownReactions])].join("|");
  if (row.dataset.look === look) return;
  row.dataset.look = look;

  const part = (name) => row.querySelector(name);
  row.classList.toggle("mine", isMine);
  row.classList.toggle("system", entry.isSystem);
  row.classList.toggle("new-group", isNewGroup);
  row.classList.toggle("new-day", isNewDay);
  row.classList.toggle("deleted", entry.isDeleted);
  row.classList.toggle("pending", entry.id === null);
  row.classList.toggle("failed", entry.failure !== null);
  part(".day").textContent = isNewDay ? dayName(at) : "";
  paintAvatar(part(".avatar"), entry.sender.id, name);
  part(".author").textContent = name;
  if (entry.isDeleted) part(".text").textContent = "This message was deleted.";
  else part(".text").replaceChildren(...piecesOf(entry.text).map(nodeOf));
  part(".edited").hidden = !entry.isEdited || entry.isDeleted;
  part("time").textContent = timeFormat.format(at);
  part("time").dateTime = entry.timestamp;
  part(".ticks").toggleAttribute("hidden", !tick || entry.isDeleted);
  part(".ticks").dataset.tick = symbol;
  part(".ticks").setAttribute("aria-label", words);
  part("use").setAttribute("href", `#tick-${symbol}`);
  const isStored = entry.id !== null && !entry.isDeleted;
  part(".actions").hidden = !isStored && !entry.failure;
  part(".act-react").hidden = !isStored;
  for (const own of [".act-edit", ".act-delete"]) part(own).hidden = !isMine;
  paintReactions(part(".reactions"), entry);
  part(".act-delete").textContent = entry.failure ? "Discard" : "Delete";
  part(".failure").textContent = entry.failure ? `Not sent. ${entry.failure}` : "";
}

/** A piece of a text: a text node, within a link if it is a URL. */
function nodeOf({ text, href }) {
  if (!href) return document.createTextNode(text);
  const link = document.createElement("a");
  Object.assign(link, { href, textContent: text, dir: "ltr", target: "_blank", rel: "noopener noreferrer nofollow" });
  return link;
}

function dayName(at) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
  return ["Today", "Yesterday"][days] ?? dayFormat.format(at);
}
