/**
 * What a screen reader says of the open chat: each new message of others, once. The list of messages is no live region
 * itself: its rows also come and go while one scrolls, and change when they are read.
 */

import { setText } from "./names.js";
import { t } from "./words.js";

const MOST = 3; // messages at once; of more only the number is said

export class Announcer {
  #element;

  /** `element` is a live region that is not seen. */
  constructor(element) {
    this.#element = element;
  }

  /** Says those of `messages` that came after `lastSeq` and are not of user `myId`. */
  announce(messages, lastSeq, myId, nameOfSender) {
    const first = messages.findLastIndex(({ seq }) => seq !== null && seq <= lastSeq) + 1;
    const news = messages.slice(first).filter(({ seq, sender, is_deleted: isDeleted }) => seq !== null && sender?.id !== myId && !isDeleted);
    if (news.length === 0) return;
    const sentences = news.map(({ sender, text }) => (sender ? `${nameOfSender(sender)}: ${text || t("Attachment")}` : text));
    setText(this.#element, news.length > MOST ? t("{count} new messages", { count: news.length }) : sentences.join("\n"));
  }

  clear() {
    setText(this.#element, "");
  }
}
