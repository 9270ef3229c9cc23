/** Finding a chat by id or `key:`, and its messages as they come. */

import { at, duration, facts, make, onSubmit, time } from "./dom.js";
import { t } from "./words.js";

const EVERY_MS = 1_000;
const PAGE = 50;
const MOST = 500; // rows on the page; older ones are removed

export class Chats {
  #api;
  #timer;
  #path = "";
  #seq = 0;

  constructor(api) {
    this.#api = api;
    onSubmit(at("chat-form"), ({ chat }) => this.open(chat.trim()), fail);
    at("chat-follow").addEventListener("change", () => this.#follow());
  }

  /** Shows the chat that the text names, and follows its messages. */
  async open(text) {
    this.stop();
    at("chat").replaceChildren();
    at("tail").replaceChildren();
    at("tail-panel").hidden = true;
    this.#path = `api/v1/chats/${encodeURIComponent(text)}`;
    const chat = await this.#api.get(this.#path);
    at("chat").replaceChildren(
      make("h3", { textContent: chat.title || t("Chat {id}", { id: chat.id }), dir: "auto" }),
      facts([
        [t("id"), String(chat.id)], [t("kind"), chat.kind], [t("key"), chat.key ?? "–"], [t("members"), String(chat.member_count)],
        [t("owner"), chat.owner_id === null ? "–" : String(chat.owner_id)], [t("messages and changes"), String(chat.last_seq)],
        [t("frozen"), t(chat.frozen ? "yes" : "no")], [t("slow mode"), chat.slow_mode_s ? duration(chat.slow_mode_s) : t("off")],
      ]),
    );
    at("tail-panel").hidden = false;
    this.#seq = chat.last_seq;
    const { messages } = await this.#api.get(`${this.#path}/messages?limit=${PAGE}`);
    this.#add(messages);
    this.#follow();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #follow() {
    this.stop();
    if (this.#path && at("chat-follow").checked) this.#timer = setTimeout(() => this.#read(this.#path), EVERY_MS);
  }

  async #read(path) {
    try {
      if (!document.hidden) {
        const { messages } = await this.#api.get(`${path}/messages?limit=${PAGE}&after_seq=${this.#seq}`);
        if (path !== this.#path) return; // another chat was opened meanwhile
        this.#add(messages);
      }
      fail("");
    } catch (error) {
      fail(error.message);
    }
    if (path === this.#path) this.#follow();
  }

  #add(messages) {
    const list = at("tail");
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    for (const message of messages) {
      this.#seq = Math.max(this.#seq, message.seq);
      list.append(row(message));
    }
    while (list.children.length > MOST) list.firstChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }
}

function row(message) {
  const author = message.sender ? `${message.sender.username} (${message.sender.id})` : t("system");
  const words = message.is_deleted ? t("deleted") : message.text || (message.data ? JSON.stringify(message.data) : "");
  const mark = message.is_deleted || !message.is_edited ? "" : ` · ${t("edited")}`;
  return make("article", {},
    make("span", { className: "muted" }, `${message.seq} · `, time(message.timestamp), ` · ${author}${mark}`),
    make("p", { textContent: words, dir: "auto", className: message.is_deleted ? "muted" : "" }),
  );
}

function fail(sentence) {
  at("chat-problem").textContent = sentence;
}
