/** The input for writing and editing messages: its height, its character count and the draft of each chat. */

import { kept } from "./kept.js";
import { lengthOf, textProblem } from "./text.js";

const COUNT_WITHIN = 100; // the remaining characters are shown if they are fewer than this

const at = (id) => document.getElementById(id);

export class Composer {
  #handlers;
  #user = null;
  #chat = null;
  #editing = null; // the entry whose text is edited
  #problem = null; // the error of the text after an attempt to send it

  /**
   * `send(text)` and `edit(entry, text)` return whether the text was accepted; `editLast()` starts editing one's last
   * message; `say(sentence)` shows an error; `resize(change)` runs a `change` of the height.
   */
  constructor(handlers) {
    this.#handlers = handlers;
    at("composer").addEventListener("submit", (event) => this.#submit(event));
    at("text").addEventListener("input", () => this.#typed());
    at("text").addEventListener("keydown", (event) => this.#key(event));
    at("edit-cancel").addEventListener("click", () => this.stopEditing());
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
    this.#chat = null;
    this.#put("");
  }

  focus() {
    at("text").focus();
  }

  startEditing(entry) {
    this.#editing = entry;
    at("editing").hidden = false;
    this.#put(entry.text);
    this.focus();
  }

  stopEditing() {
    if (!this.#editing) return;
    this.#editing = null;
    at("editing").hidden = true;
    this.#put(this.#draft);
    this.focus();
  }

  /** Stops editing if the message is no longer among `entries`. */
  stopEditingUnless(entries) {
    if (this.#editing && !entries.includes(this.#editing)) this.stopEditing();
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
    const left = this.#chat.maxText - lengthOf(box.value);
    const shown = left < COUNT_WITHIN ? `${left}` : "";
    if (at("count").textContent !== shown) at("count").textContent = shown; // otherwise a screen reader would repeat it
    at("count").classList.toggle("over", left < 0);
  }

  get #draftKey() {
    return `chat-draft:${this.#user.id}:${this.#user.username}:${this.#chat.chatId}`;
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
    this.fit();
    this.#keepDraft();
    if (this.#problem) this.#judge(textProblem(this.text, this.#chat.maxText));
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
    this.#judge(textProblem(text, this.#chat.maxText));
    if (this.#problem) return;
    if (this.#editing) this.#saveEdit(text);
    else if (this.#handlers.send(text)) this.#clear();
  }

  #clear() {
    this.#put("");
    this.#keepDraft();
  }

  #saveEdit(text) {
    if (text === this.#editing.text || this.#handlers.edit(this.#editing, text)) this.stopEditing();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) at("composer").requestSubmit();
    else if (event.key === "Escape" && this.#editing) this.stopEditing();
    else if (event.key === "ArrowUp" && this.text === "") this.#handlers.editLast();
    else return;
    event.preventDefault();
  }
}
