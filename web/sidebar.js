/** The list of chats: by activity, with the last message, its time and what is unread; filtered by a text. */

import { avatarIdOf, nameOf, paintAvatar, setText, shortTime, titleOf } from "./names.js";
import { t } from "./words.js";

const MORE_WITHIN_PX = 300; // distance to the end at which the next page is requested
const WATCHED = 100; // users whose presence is followed

const at = (id) => document.getElementById(id);

export class Sidebar {
  #client;
  #openId = () => null;
  #rows = new Map(); // chat id → its row
  #watched = "";
  #off = [];
  #isPainting = false;

  /** `openId()` is the chat that is shown. */
  constructor(openId) {
    this.#openId = openId;
    at("chat-nav").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    at("chat-search").addEventListener("input", () => this.paint());
  }

  /** Shows the chats of `client`'s user until `close`. */
  open(client) {
    this.#client = client;
    const schedule = () => this.#schedule();
    this.#off = [client.chats.on("change", schedule), client.on("change", schedule)];
    this.paint();
  }

  close() {
    for (const off of this.#off) off();
    this.#client = null;
    this.#rows.clear();
    this.#watched = "";
    at("chat-list").replaceChildren();
    at("chat-search").value = "";
    document.title = "Chat";
  }

  #schedule() {
    if (this.#isPainting) return;
    this.#isPainting = true; // at most once per frame; a hidden page has no frames
    const paint = () => {
      this.#isPainting = false;
      if (this.#client) this.paint();
    };
    if (document.hidden) setTimeout(paint);
    else requestAnimationFrame(paint);
  }

  paint() {
    const { chats, me } = this.#client;
    if (!me) return;
    const { items } = chats;
    const wanted = at("chat-search").value.trim().toLocaleLowerCase();
    const shown = wanted ? items.filter((info) => titleOf(info, me.id).toLocaleLowerCase().includes(wanted)) : items;
    at("no-chats").hidden = !chats.isLoaded || items.length > 0;
    at("no-match").hidden = !wanted || shown.length > 0;
    const present = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    shown.forEach((info, index) => {
      const row = this.#rowOf(info.id);
      if (at("chat-list").children[index] !== row) at("chat-list").insertBefore(row, at("chat-list").children[index] ?? null);
      this.#paintRow(row, info);
    });
    const unread = items.reduce((sum, info) => sum + (isMuted(info) ? 0 : info.unread), 0);
    document.title = unread ? `(${unread}) Chat` : "Chat";
    this.#watch(items);
    if (wanted && chats.hasMore) this.#more();
  }

  #rowOf(id) {
    let row = this.#rows.get(id);
    if (!row) {
      row = at("chat-template").content.firstElementChild.cloneNode(true);
      this.#rows.set(id, row);
    }
    return row;
  }

  #paintRow(row, info) {
    const { me, online } = this.#client;
    const title = titleOf(info, me.id);
    const others = info.members.filter((member) => member.user_id !== me.id);
    const isOnline = others.length === 1 && online.get(others[0].user_id)?.online === true;
    const link = row.querySelector("a");
    const part = (name) => row.querySelector(name);
    const isCurrent = info.id === this.#openId();
    const last = preview(info, me.id);
    const look = JSON.stringify([title, last, info.last_activity_at, info.unread, info.mentions, isOnline, isCurrent, info.pinned, info.muted_until]);
    if (row.dataset.look === look) return;
    row.dataset.look = look;
    link.href = `#${info.id}`;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    paintAvatar(part(".avatar"), avatarIdOf(info, me.id), title);
    part(".avatar").classList.toggle("online", isOnline);
    part(".online-word").textContent = isOnline ? t("online") : "";
    part(".chat-name").textContent = title;
    part(".chat-last").textContent = last;
    part("time").textContent = info.last_activity_at ? shortTime(new Date(info.last_activity_at)) : "";
    part("time").dateTime = info.last_activity_at ?? "";
    part(".unread").textContent = info.unread >= 100 ? "99+" : info.unread || "";
    part(".unread").setAttribute("aria-label", info.unread ? t("{count} unread", { count: info.unread }) : "");
    part(".mentioned").hidden = !info.mentions;
    row.classList.toggle("muted-chat", isMuted(info));
    row.classList.toggle("pinned", info.pinned);
  }

  /** Follows the presence of the other person of each chat of two near the top. */
  #watch(items) {
    const { me } = this.#client;
    const pairs = items.map((info) => info.members.filter((member) => member.user_id !== me.id)).filter((others) => others.length === 1);
    const ids = [...new Set(pairs.map(([other]) => other.user_id))].slice(0, WATCHED);
    const key = [...ids].sort().join();
    if (key === this.#watched) return;
    this.#watched = key;
    this.#client.watchPresence(ids);
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = at("chat-nav");
    if (scrollHeight - scrollTop - clientHeight < MORE_WITHIN_PX) this.#more();
  }

  #more() {
    this.#client?.chats.loadMore().catch(() => {}); // the next scroll tries again
  }
}

/** Whether the user has muted the chat for now. */
export function isMuted(info) {
  return Boolean(info.muted_until) && Date.parse(info.muted_until) > Date.now();
}

function preview({ last_message: last, members }, myId) {
  if (!last) return "";
  if (last.is_deleted) return t("Message deleted");
  const text = last.text || (last.data ? t("Attachment") : "");
  if (!last.sender) return text;
  if (last.sender.id === myId) return t("You: {text}", { text });
  return members.length > 2 ? `${nameOf(last.sender)}: ${text}` : text;
}
