/** The input for writing and editing messages: its height, its character count and the draft of each chat. */

import { kept } from "./kept.js";
import { MentionList } from "./mentions.js";
import { lengthOf, textProblem } from "./text.js";

const COUNT_WITHIN = 100; // the remaining characters are shown if they are fewer than this

const at = (id) => document.getElementById(id);

export class Composer {
  #handlers;
  #user = null;
  #chat = null;
  #editing = null; // the message whose text is edited
  #replyTo = null; // the message to which the next one replies
  #mentions;
  #problem = null; // the error of the text after an attempt to send it

  /**
   * `send(text, replyTo)` and `edit(message, text)` take a text; `editLast()` starts editing one's last message;
   * `say(sentence)` shows an error; `resize(change)` runs a `change` of the height; `maxText()` is the longest text;
   * `authorOf(message)` is a name; `members()` are those who can be mentioned.
   */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#mentions = new MentionList(at("text"), at("mention-list"), handlers.members);
    at("composer").addEventListener("submit", (event) => this.#submit(event));
    at("text").addEventListener("input", () => this.#typed());
    at("text").addEventListener("keydown", (event) => this.#key(event));
    at("edit-cancel").addEventListener("click", () => this.stopEditing());
    at("reply-cancel").addEventListener("click", () => this.stopReplying());
    addEventListener("resize", () => this.fit());
  }

  get text() {
    return at("text").value;
  }

  /** From now on drafts belong to `user`: no user sees the text of another. */
  keepDraftsOf(user) {
    this.#user = user;
  }

  open(chat) {
    this.#chat = chat;
    this.#put(this.#draft);
  }

  close() {
    this.#editing = null;
    at("editing").hidden = true;
    this.#showReply(null);
    this.#chat = null;
    this.#put("");
  }

  focus() {
    at("text").focus();
  }

  startEditing(message) {
    this.#showReply(null);
    this.#editing = message;
    at("editing").hidden = false;
    this.#put(message.text);
    this.focus();
  }

  startReplying(message) {
    this.stopEditing();
    this.#showReply(message);
    this.focus();
  }

  stopReplying() {
    this.#showReply(null);
    this.focus();
  }

  #showReply(message) {
    this.#replyTo = message;
    this.#handlers.resize(() => {
      at("replying").hidden = !message;
      at("reply-author").textContent = message ? this.#handlers.authorOf(message) : "";
      at("reply-text").textContent = message ? message.text.slice(0, 120) : "";
    });
  }

  stopEditing() {
    if (!this.#editing) return;
    this.#editing = null;
    at("editing").hidden = true;
    this.#put(this.#draft);
    this.focus();
  }

  /** Stops editing a message that was deleted or is of another history. */
  follow(messages) {
    const isThere = ({ id }) => messages.some((message) => message.id === id && !message.is_deleted);
    if (this.#editing && !isThere(this.#editing)) this.stopEditing();
    if (this.#replyTo && !isThere(this.#replyTo)) this.#showReply(null);
  }

  /** Inserts an unsent text before the present one. */
  takeBack(text) {
    this.stopEditing();
    this.#put(this.text.trim() ? `${text}\n${this.text}` : text);
    this.#keepDraft();
    this.focus();
  }

  /** Fits the height to the text and shows a count near the limit. */
  fit() {
    const box = at("text");
    if (!this.#chat || box.offsetParent === null) return; // a hidden element has no height
    this.#handlers.resize(() => {
      box.style.height = "auto";
      box.style.height = `${box.scrollHeight}px`;
    });
    const left = this.#handlers.maxText() - lengthOf(box.value);
    const shown = left < COUNT_WITHIN ? `${left}` : "";
    if (at("count").textContent !== shown) at("count").textContent = shown; // otherwise a screen reader would repeat it
    at("count").classList.toggle("over", left < 0);
  }

  get #draftKey() {
    return `chat-draft:${this.#user.id}:${this.#user.username}:${this.#chat.id}`;
  }

  get #draft() {
    return kept.getItem(this.#draftKey) ?? "";
  }

  #keepDraft() {
    if (this.#editing) return;
    if (this.text) kept.setItem(this.#draftKey, this.text);
    else kept.removeItem(this.#draftKey);
  }

  #put(text) {
    at("text").value = text;
    this.#judge(null);
    this.fit();
  }

  #typed() {
    this.#mentions.update();
    this.fit();
    this.#keepDraft();
    if (this.#problem) this.#judge(textProblem(this.text, this.#handlers.maxText()));
    if (!this.#editing) this.#chat.setTyping(this.text !== "");
  }

  #judge(problem) {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#handlers.say(problem ?? "");
  }

  #submit(event) {
    event.preventDefault();
    const text = this.text.trim();
    if (!text) return;
    this.#judge(textProblem(text, this.#handlers.maxText()));
    if (this.#problem) return;
    if (this.#editing) this.#saveEdit(text);
    else {
      this.#clear(); // first: what is sent is shown at once
      const replyTo = this.#replyTo;
      this.#showReply(null);
      this.#handlers.send(text, replyTo);
    }
  }

  #clear() {
    this.#put("");
    this.#keepDraft();
  }

  #saveEdit(text) {
    if (text !== this.#editing.text) this.#handlers.edit(this.#editing, text);
    this.stopEditing();
  }

  #key(event) {
    if (event.isComposing) return;
    if (this.#mentions.takes(event)) {
      event.preventDefault();
      return;
    }
    if (event.key === "Enter" && !event.shiftKey) at("composer").requestSubmit();
    else if (event.key === "Escape" && this.#editing) this.stopEditing();
    else if (event.key === "Escape" && this.#replyTo) this.stopReplying();
    else if (event.key === "ArrowUp" && this.text === "") this.#handlers.editLast();
    else return;
    event.preventDefault();
  }
}
