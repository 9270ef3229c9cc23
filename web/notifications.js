/** Notifications of new messages while the page is not seen; the browser asks the user once, after a click. */

import { nameOf, titleOf } from "./names.js";
import { isMuted } from "./sidebar.js";

export class Notifications {
  #button;
  #client = null;
  #me = null;
  #seen = new Map(); // chat id → id of its last message
  #off = () => {};

  /** `button` asks for the permission, and is hidden when the question is answered. */
  constructor(button) {
    this.#button = button;
    button.addEventListener("click", async () => {
      await Notification.requestPermission();
      this.#offer();
    });
    this.#offer();
  }

  /** Follows the chats of this client and user. */
  begin(client, me) {
    this.end();
    this.#client = client;
    this.#me = me;
    this.#off = client.chats.on("change", () => this.#look());
  }

  end() {
    this.#off();
    this.#off = () => {};
    this.#seen.clear();
    this.#client = null;
  }

  #offer() {
    this.#button.hidden = !("Notification" in globalThis) || Notification.permission !== "default";
  }

  #look() {
    const isFirst = this.#seen.size === 0;
    for (const info of this.#client.chats.items) {
      const last = info.last_message;
      const isNew = last && this.#seen.get(info.id) !== last.id;
      this.#seen.set(info.id, last?.id ?? null);
      if (isNew && !isFirst && info.unread > 0 && !isMuted(info) && last.sender?.id !== this.#me.id) this.#show(info, last);
    }
  }

  #show(info, { sender, text }) {
    if (!document.hidden || !("Notification" in globalThis) || Notification.permission !== "granted") return;
    const body = sender && info.members.length > 2 ? `${nameOf(sender)}: ${text}` : text;
    const shown = new Notification(titleOf(info, this.#me.id), { body, tag: `chat-${info.id}`, icon: "static/icon.svg" });
    shown.onclick = () => {
      globalThis.focus();
      location.hash = info.id;
      shown.close();
    };
  }
}
