/** The open conversation on the page: header, messages, receipts and composer of one chat, bound to its `Chat`. */

import { Composer } from "./composer.js";
import { MessageList, nameOf, paintAvatar } from "./message_list.js";
import { ReactionPicker } from "./reactions.js";

const OLDER_WITHIN_PX = 400; // distance to the top at which the next page of history is requested
const PROBLEM_SHOWN_MS = 8_000;
const INTERRUPTION_MS = 1_000; // an interruption shorter than this is not shown

const at = (id) => document.getElementById(id);

/** The name of a chat: its title, else the names of the other members. */
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
  #composer = new Composer({
    send: (text) => this.#send(text),
    edit: (entry, text) => this.#chat.edit(entry, text),
    editLast: () => this.#editLast(),
    say: (sentence) => this.#say(sentence, null),
    resize: (change) => this.#list.keepEnd(change),
  });
  #picker = new ReactionPicker(at("picker"), (row, key) => this.#react(this.#list.entryOf(row), key));
  #isPainting = false;
  #seenTimeline = null; // the timeline for which the members were read; null while disconnected
  #unseen = 0;
  #lastSeq = 0;
  #problem = ""; // an error that is shown for a while
  #problemTimer;
  #bannerTimer;
  #onChange = () => this.#schedule();
  #onProblem = (event) => this.#say(asSentence(event.detail.message));

  /** `onRead(chatId)` is called when the open chat has been read up to its last message. */
  constructor(api, onRead) {
    this.#api = api;
    this.#onRead = onRead;
    at("log").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    at("log").addEventListener("keydown", (event) => this.#logKey(event));
    at("log").addEventListener("click", (event) => this.#logClick(event));
    at("log").addEventListener("focusin", (event) => event.target.closest(".message")?.scrollIntoView({ block: "nearest" }));
    at("jump").addEventListener("click", () => this.#list.scrollToEnd());
    at("banner-action").addEventListener("click", () => (this.#chat.wake(), this.#chat.open()));
    document.addEventListener("visibilitychange", () => this.#schedule());
    for (const type of ["online", "offline"]) addEventListener(type, () => this.#schedule());
    setInterval(() => (this.#chat?.retryAt || this.#chat?.held) && this.#schedule(), 1000); // the countdowns
  }

  /** The id of the chat that is shown, or null. */
  get chatId() {
    return this.#chat?.chatId ?? null;
  }

  /** Whether the open chat has a text that is not stored by the server: a draft, pending or rejected. */
  get hasUnsent() {
    return this.#chat !== null && (this.#chat.hasUnsent || this.#composer.text.trim() !== "");
  }

  keepDraftsOf(user) {
    this.#composer.keepDraftsOf(user);
  }

  /** Shows `chat`, described by `info` (the object of the HTTP API), in place of the previous one. */
  show(chat, info) {
    this.hide();
    this.#chat = chat;
    this.#info = info;
    this.#seenTimeline = null;
    this.#unseen = 0;
    this.#lastSeq = chat.timeline.lastSeq;
    chat.addEventListener("change", this.#onChange);
    chat.addEventListener("problem", this.#onProblem);
    at("talk").hidden = false;
    at("room-empty").hidden = true;
    this.#composer.open(chat);
    chat.open();
    this.#paint();
    this.#list.scrollToEnd();
    if (matchMedia("(hover: hover)").matches) this.#composer.focus(); // on a phone it would open the keyboard
  }

  /** Shows no chat; the previous one disconnects when its messages are sent. */
  hide() {
    const chat = this.#chat;
    if (!chat) return;
    chat.removeEventListener("change", this.#onChange);
    chat.removeEventListener("problem", this.#onProblem);
    chat.leave();
    this.#chat = null;
    this.#composer.close();
    this.#list.clear();
    this.#say("");
    at("talk").hidden = true;
    at("room-empty").hidden = false;
  }

  // --- painting

  #schedule() {
    if (this.#isPainting) return;
    this.#isPainting = true; // at most once per frame
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
    const { me, node, presence } = this.#chat;
    const state = this.#isInterrupted ? "live" : this.#chat.state;
    const title = titleOf(this.#info, me.id);
    setText("talk-title", title);
    paintAvatar(at("talk-avatar"), this.#avatarId(), title);
    const here = [...presence.members].filter(([id]) => id !== me.id).map((user) => this.#nameOf(user));
    const isLive = state === "live";
    const isSomebodyHere = isLive && (here.length > 0 || presence.count > 1);
    setText("talk-presence", isLive ? presenceOf(here, presence.count) : "Not connected");
    at("talk-avatar").classList.toggle("online", isSomebodyHere);
    at("node").dataset.state = state;
    setText("node-name", isLive ? node : state === "connecting" ? "connecting" : "offline");
    at("node").title = isLive ? `This window is served by the replica ${node}` : "";
  }

  get #others() {
    return this.#info.members.filter((member) => member.user_id !== this.#chat.me.id);
  }

  /** The name of a message's author; the pushes have no display names, the list of members has. */
  #authorOf({ sender }) {
    return nameOf(this.#info.members.find((member) => member.user_id === sender.id) ?? sender);
  }

  #nameOf([id, username]) {
    return nameOf(this.#info.members.find((member) => member.user_id === id) ?? { username });
  }

  #avatarId() {
    const others = this.#others;
    return others.length === 1 ? others[0].user_id : this.#info.id;
  }

  /** Whether the connection was lost a moment ago: it is usually restored before the user need know. */
  get #isInterrupted() {
    const { lostAt } = this.#chat;
    return navigator.onLine && lostAt !== null && Date.now() - lostAt < INTERRUPTION_MS;
  }

  #paintBanner() {
    const { state, reason, retryAt, closeCode } = this.#chat;
    clearTimeout(this.#bannerTimer);
    if (this.#isInterrupted) this.#bannerTimer = setTimeout(() => this.#schedule(), INTERRUPTION_MS);
    at("banner").hidden = !reason || this.#isInterrupted;
    if (at("banner").hidden) return;
    const isFinal = state === "closed";
    const next = retryAt ? `Trying again ${inSeconds(retryAt)}.` : "Trying again now.";
    if (isFinal) setText("banner-text", reason);
    else if (navigator.onLine) setText("banner-text", `${reason} ${next}`);
    else setText("banner-text", "You are offline. What you write is sent when the network is back.");
    setText("banner-action", !isFinal ? "Try now" : closeCode === 4409 ? "Use it here" : "Open again");
  }

  #paintLog() {
    const { timeline, me } = this.#chat;
    this.#composer.stopEditingUnless(timeline.entries);
    const wasAtEnd = this.#list.isAtEnd;
    this.#list.paint(timeline.all, me.id, (entry) => this.#authorOf(entry), (entry) => this.#tickOf(entry));
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
    if (entry.id === null && entry.failure) return ["waiting", "Not sent"];
    if (entry.id === null) return ["waiting", this.#chat.state === "live" ? "Sending" : "Waiting for the connection"];
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

  /** Reads the members and their read positions after each connect and reset. */
  async #learnMembers() {
    const chat = this.#chat;
    const { state, timeline } = chat;
    if (state !== "live") this.#seenTimeline = null;
    if (state !== "live" || this.#seenTimeline === timeline) return;
    this.#seenTimeline = timeline;
    const info = await this.#api.chat(chat.chatId).catch(() => null); // the next connect tries again
    if (!info || this.#chat !== chat || chat.timeline !== timeline) return;
    this.#info = info;
    chat.takeReadPositions(info.members);
  }

  /** Shows `sentence` for `ms`; with null until the next one. */
  #say(sentence, ms = PROBLEM_SHOWN_MS) {
    this.#problem = sentence;
    this.#schedule();
    clearTimeout(this.#problemTimer);
    if (sentence && ms !== null) this.#problemTimer = setTimeout(() => this.#say(""), ms);
  }

  // --- callbacks of the composer

  #send(text) {
    this.#say("");
    if (!this.#chat.send(text)) return false;
    this.#paint(); // at once, not with the next frame
    this.#list.scrollToEnd();
    return true;
  }

  #editLast() {
    const { timeline, me } = this.#chat;
    const mine = timeline.entries.filter(({ sender, isDeleted }) => sender.id === me.id && !isDeleted);
    if (mine.length > 0) this.#composer.startEditing(mine.at(-1));
  }

  // --- the messages

  #scrolled() {
    if (at("log").scrollTop < OLDER_WITHIN_PX || this.#unseen > 0 || this.#list.isAtEnd) this.#schedule();
  }

  #logClick(event) {
    const entry = this.#list.entryOf(event.target);
    const reaction = event.target.closest(".reaction");
    if (reaction) this.#react(entry, reaction.dataset.key);
    else if (event.target.closest(".act-react")) this.#pick(entry);
    else if (event.target.closest(".act-edit")) this.#edit(entry);
    else if (event.target.closest(".act-delete")) this.#delete(entry);
  }

  #pick(entry) {
    this.#list.keepEnd(() => this.#picker.toggle(this.#list.rowOf(entry)));
  }

  #react(entry, key) {
    if (entry) this.#chat.react(entry, key);
  }

  #edit(entry) {
    if (!entry.failure) return this.#composer.startEditing(entry);
    this.#chat.discard(entry);
    this.#composer.takeBack(entry.text);
  }

  #delete(entry) {
    if (entry.failure) this.#chat.discard(entry);
    else this.#confirmDelete(entry);
  }

  /** Keys in the log: arrows move through messages; R reacts, E edits and Delete deletes own ones; Escape returns to writing. */
  #logKey(event) {
    const entry = this.#list.entryOf(document.activeElement);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const isMine = entry?.sender.id === this.#chat.me.id && (entry.id !== null || entry.failure) && !entry.isDeleted;
    if (step) {
      const all = this.#chat.timeline.all;
      const next = entry ? all[all.indexOf(entry) + step] : all.at(-1);
      this.#list.rowOf(next)?.focus();
    } else if (event.key === "Escape") {
      this.#composer.focus();
    } else if (event.key === "r" && entry && entry.id !== null && !entry.isDeleted) {
      this.#pick(entry);
    } else if (event.key === "e" && isMine) {
      this.#edit(entry);
    } else if (event.key === "Delete" && isMine) {
      this.#delete(entry);
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

/** The connected members other than the user, by name if they are few. */
function presenceOf(names, count) {
  if (names.length > 3 || count > names.length + 1) return `${count} are here`;
  if (names.length === 0) return "Nobody else is here";
  return `${listed(names)} ${names.length === 1 ? "is" : "are"} here`;
}

function asSentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** The time until `time` in steps of 5 s: a screen reader announces each change. */
function inSeconds(time) {
  const seconds = (time - Date.now()) / 1000;
  return seconds > 3 ? `in ${Math.ceil(seconds / 5) * 5} s` : "in a moment";
}

function listed(names) {
  return new Intl.ListFormat("en").format(names);
}
