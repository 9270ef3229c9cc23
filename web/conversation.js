/** The open conversation on the page: one chat's header, messages, marks and composer, bound to its `Chat`. */

import { MAX_TEXT, textProblem } from "./chat.js";
import { MessageList, nameOf, paintAvatar } from "./message_list.js";

const OLDER_WITHIN_PX = 400; // how close to the top the next page of history is asked for
const COUNT_FROM = MAX_TEXT - 100;
const PROBLEM_SHOWN_MS = 8_000;

const at = (id) => document.getElementById(id);

/** What a chat is called: its title, else the other members' names. */
export function titleOf(info, myId) {
  const others = info.members.filter((member) => member.user_id !== myId);
  return info.title || others.map(nameOf).join(", ") || "Just you";
}

export class Conversation {
  #api;
  #onRead;
  #chat = null;
  #info = null;
  #list = new MessageList(at("log"), at("messages"));
  #editing = null; // the entry that the composer edits
  #drafts = new Map(); // chat id → what was left in its composer
  #isPainting = false;
  #seenNode = null;
  #unseen = 0;
  #lastSeq = 0;
  #problem = ""; // a sentence that is shown for a while
  #problemTimer;
  #onChange = () => this.#schedule();
  #onProblem = (event) => this.#say(asSentence(event.detail.message));

  /** `onRead(chatId)` is called when the open chat has been read to its end. */
  constructor(api, onRead) {
    this.#api = api;
    this.#onRead = onRead;
    at("composer").addEventListener("submit", (event) => this.#submit(event));
    at("text").addEventListener("input", () => this.#typed());
    at("text").addEventListener("keydown", (event) => this.#key(event));
    at("edit-cancel").addEventListener("click", () => this.#stopEditing());
    at("log").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    at("log").addEventListener("keydown", (event) => this.#logKey(event));
    at("log").addEventListener("click", (event) => this.#logClick(event));
    at("log").addEventListener("focusin", (event) => event.target.closest(".message")?.scrollIntoView({ block: "nearest" }));
    at("jump").addEventListener("click", () => this.#list.scrollToEnd());
    at("banner-action").addEventListener("click", () => (this.#chat.wake(), this.#chat.open()));
    document.addEventListener("visibilitychange", () => this.#schedule());
    setInterval(() => (this.#chat?.retryAt || this.#chat?.held) && this.#schedule(), 1000); // the countdowns
  }

  /** The id of the chat that is shown, or null. */
  get chatId() {
    return this.#chat?.chatId ?? null;
  }

  /** Shows `chat`, described by `info` (the HTTP API's object), in place of what was there. */
  show(chat, info) {
    this.hide();
    this.#chat = chat;
    this.#info = info;
    this.#seenNode = null;
    this.#unseen = 0;
    this.#lastSeq = chat.timeline.lastSeq;
    chat.addEventListener("change", this.#onChange);
    chat.addEventListener("problem", this.#onProblem);
    at("talk").hidden = false;
    at("room-empty").hidden = true;
    at("text").value = this.#drafts.get(chat.chatId) ?? "";
    this.#fit();
    chat.open();
    this.#paint();
    this.#list.scrollToEnd();
    if (matchMedia("(hover: hover)").matches) at("text").focus(); // on a phone it would open the keyboard
  }

  /** Shows no chat; the one that was shown leaves when its messages are out. */
  hide() {
    const chat = this.#chat;
    if (!chat) return;
    this.#stopEditing();
    this.#drafts.set(chat.chatId, at("text").value);
    chat.removeEventListener("change", this.#onChange);
    chat.removeEventListener("problem", this.#onProblem);
    chat.leave();
    this.#chat = null;
    this.#list.clear();
    this.#say("");
    at("talk").hidden = true;
    at("room-empty").hidden = false;
  }

  // --- painting

  #schedule() {
    if (this.#isPainting) return;
    this.#isPainting = true; // once a frame, however much arrives
    requestAnimationFrame(() => {
      this.#isPainting = false;
      if (this.#chat) this.#paint();
    });
  }

  #paint() {
    this.#paintHead();
    this.#paintBanner();
    this.#paintLog();
    this.#paintTypists();
    this.#paintProblem();
    this.#learnMembers();
    if (!document.hidden && this.#list.isAtEnd && this.#chat.timeline.lastSeq !== null) {
      this.#chat.markRead();
      this.#onRead(this.#chat.chatId);
    }
  }

  #paintHead() {
    const { me, node, state, present, presentCount } = this.#chat;
    const title = titleOf(this.#info, me.id);
    setText("talk-title", title);
    paintAvatar(at("talk-avatar"), this.#avatarId(), title);
    const here = [...present].filter(([id]) => id !== me.id).map((user) => this.#nameOf(user));
    const isLive = state === "live";
    const isSomebodyHere = isLive && (here.length > 0 || presentCount > 1);
    setText("talk-presence", isLive ? presenceOf(here, presentCount) : "Not connected");
    at("talk-avatar").classList.toggle("online", isSomebodyHere);
    at("node").dataset.state = state;
    setText("node-name", isLive ? node : state === "connecting" ? "connecting" : "offline");
    at("node").title = isLive ? `This window is served by the replica ${node}` : "";
  }

  get #others() {
    return this.#info.members.filter((member) => member.user_id !== this.#chat.me.id);
  }

  #nameOf([id, username]) {
    return nameOf(this.#info.members.find((member) => member.user_id === id) ?? { username });
  }

  #avatarId() {
    const others = this.#others;
    return others.length === 1 ? others[0].user_id : this.#info.id;
  }

  #paintBanner() {
    const { state, reason, retryAt, closeCode } = this.#chat;
    at("banner").hidden = !reason;
    if (!reason) return;
    setText("banner-text", retryAt ? `${reason} Trying again ${inSeconds(retryAt)}.` : reason);
    setText("banner-action", { waiting: "Try now" }[state] ?? (closeCode === 4409 ? "Use it here" : "Open again"));
  }

  #paintLog() {
    const { timeline, me } = this.#chat;
    const wasAtEnd = this.#list.isAtEnd;
    this.#list.paint(timeline.all, me.id, (entry) => this.#tickOf(entry));
    const { entries, complete, lastSeq } = timeline;
    at("log-start").hidden = !complete;
    setText("log-start", entries.length === 0 ? "Nothing here yet. Say hello." : "This is where it began.");
    if (lastSeq > this.#lastSeq && !wasAtEnd) this.#unseen += 1;
    if (this.#list.isAtEnd) this.#unseen = 0;
    this.#lastSeq = lastSeq;
    at("jump").hidden = this.#unseen === 0;
    if (at("log").scrollTop < OLDER_WITHIN_PX) this.#chat.loadOlder();
  }

  #tickOf(entry) {
    if (entry.id === null) return entry.failure ? ["waiting", "Not sent"] : ["waiting", "Sending"];
    const others = this.#others;
    const readers = others.filter((member) => this.#chat.hasRead(member.user_id, entry));
    if (readers.length === 0) return ["sent", "Sent"];
    const who = readers.length === others.length && others.length > 1 ? "everyone" : listed(readers.map(nameOf));
    return ["read", `Read by ${who}`];
  }

  #paintProblem() {
    const { held } = this.#chat;
    const sentence = held ? `${asSentence(held.message)} Your message goes out ${inSeconds(held.until)}.` : this.#problem;
    setText("problem", sentence);
  }

  #paintTypists() {
    const names = [...this.#chat.typists].map((user) => this.#nameOf(user));
    const words = names.length > 3 ? "Several people are typing" : `${listed(names)} ${names.length > 1 ? "are" : "is"} typing`;
    setText("typing", names.length ? words : "");
    at("typing").classList.toggle("busy", names.length > 0);
  }

  /** After each connect: who is a member, and what they have read meanwhile. */
  async #learnMembers() {
    const chat = this.#chat;
    if (chat.state !== "live") this.#seenNode = null;
    if (chat.state !== "live" || this.#seenNode) return;
    this.#seenNode = chat.node;
    const info = await this.#api.chat(chat.chatId).catch(() => null); // the next connect asks again
    if (!info || this.#chat !== chat) return;
    this.#info = info;
    chat.takeReadPositions(info.members);
  }

  #say(sentence) {
    this.#problem = sentence;
    this.#schedule();
    clearTimeout(this.#problemTimer);
    if (sentence) this.#problemTimer = setTimeout(() => this.#say(""), PROBLEM_SHOWN_MS);
  }

  // --- the composer

  #submit(event) {
    event.preventDefault();
    const text = at("text").value.trim();
    const problem = textProblem(text);
    if (problem) return text && this.#say(problem);
    this.#say("");
    if (this.#editing) this.#saveEdit(text);
    else this.#send(text);
  }

  #send(text) {
    at("text").value = "";
    this.#fit();
    this.#chat.send(text);
    this.#paint(); // at once, without waiting for a frame
    this.#list.scrollToEnd();
  }

  #saveEdit(text) {
    if (text !== this.#editing.text) this.#chat.edit(this.#editing, text);
    this.#stopEditing();
  }

  #startEditing(entry) {
    if (!this.#editing) this.#drafts.set(this.chatId, at("text").value);
    this.#editing = entry;
    at("editing").hidden = false;
    at("text").value = entry.text;
    this.#fit();
    at("text").focus();
  }

  #stopEditing() {
    if (!this.#editing) return;
    this.#editing = null;
    at("editing").hidden = true;
    at("text").value = this.#drafts.get(this.chatId) ?? "";
    this.#drafts.delete(this.chatId);
    this.#fit();
    at("text").focus();
  }

  #typed() {
    this.#fit();
    if (!this.#editing) this.#chat.setTyping(at("text").value !== "");
  }

  /** As high as its text, and a count once the limit is near. */
  #fit() {
    const box = at("text");
    this.#list.keepEnd(() => {
      box.style.height = "auto";
      box.style.height = `${box.scrollHeight}px`;
    });
    const length = [...box.value].length;
    setText("count", length > COUNT_FROM ? `${MAX_TEXT - length}` : "");
    at("count").classList.toggle("over", length > MAX_TEXT);
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      at("composer").requestSubmit();
    } else if (event.key === "Escape" && this.#editing) {
      this.#stopEditing();
    } else if (event.key === "ArrowUp" && at("text").value === "") {
      const mine = this.#chat.timeline.entries.filter(({ sender, isDeleted }) => sender.id === this.#chat.me.id && !isDeleted);
      if (mine.length === 0) return;
      this.#startEditing(mine.at(-1));
    } else {
      return;
    }
    event.preventDefault();
  }

  // --- the messages

  #scrolled() {
    if (at("log").scrollTop < OLDER_WITHIN_PX || this.#unseen > 0 || this.#list.isAtEnd) this.#schedule();
  }

  #logClick(event) {
    const entry = this.#list.entryOf(event.target);
    if (event.target.closest(".act-edit")) this.#startEditing(entry);
    else if (event.target.closest(".act-delete")) this.#confirmDelete(entry);
  }

  /** In the log, arrows walk through the messages; E edits and Delete deletes one's own; Escape goes back to writing. */
  #logKey(event) {
    const entry = this.#list.entryOf(document.activeElement);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const isMine = entry?.sender.id === this.#chat.me.id && entry.id !== null && !entry.isDeleted;
    if (step) {
      const all = this.#chat.timeline.all;
      const next = entry ? all[all.indexOf(entry) + step] : all.at(-1);
      this.#list.rowOf(next)?.focus();
    } else if (event.key === "Escape") {
      at("text").focus();
    } else if (event.key === "e" && isMine) {
      this.#startEditing(entry);
    } else if (event.key === "Delete" && isMine) {
      this.#confirmDelete(entry);
    } else {
      return;
    }
    event.preventDefault();
  }

  #confirmDelete(entry) {
    const dialog = at("delete-dialog");
    const chat = this.#chat;
    dialog.returnValue = "keep";
    setText("delete-quote", entry.text);
    dialog.onclose = () => dialog.returnValue === "delete" && chat.delete(entry);
    dialog.showModal();
  }
}

function setText(id, text) {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text; // an unchanged live region stays silent
}

/** Who of the others is here, by name while they are few. */
function presenceOf(names, count) {
  if (names.length > 3 || count > names.length + 1) return `${count} are here`;
  if (names.length === 0) return "Nobody else is here";
  return `${listed(names)} ${names.length === 1 ? "is" : "are"} here`;
}

function asSentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** How long until `time`, in steps of 5 s: a screen reader reads each new one out. */
function inSeconds(time) {
  const seconds = (time - Date.now()) / 1000;
  return seconds > 3 ? `in ${Math.ceil(seconds / 5) * 5} s` : "in a moment";
}

function listed(names) {
  return new Intl.ListFormat("en").format(names);
}
