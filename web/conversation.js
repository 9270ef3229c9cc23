/** The open conversation on the page: header, messages, receipts and composer of one chat of the client. */

import { Announcer } from "./announcer.js";
import { Banner, isInterrupted } from "./banner.js";
import { Composer } from "./composer.js";
import { mentionsIn } from "./mentions.js";
import { MessageList } from "./message_list.js";
import { asSentence, avatarIdOf, inSeconds, listed, nameOf, paintAvatar, setText, titleOf } from "./names.js";
import { ReactionPicker } from "./reactions.js";
import { t } from "./words.js";

const OLDER_WITHIN_PX = 400; // distance to the top at which the next page of history is requested
const PROBLEM_SHOWN_MS = 8_000;
const MAX_PAGES = 200; // of history that a jump to a day loads
const MAX_TEXT = 1000; // until the server has said it

const at = (id) => document.getElementById(id);
const say = (id, text) => setText(at(id), text);

export class Conversation {
  #onClosed;
  #client = null;
  #me = null;
  #chat = null;
  #release = () => {};
  #off = [];
  #list = new MessageList(at("log"), at("messages"));
  #announcer = new Announcer(at("news"));
  #banner = new Banner(() => this.#schedule());
  #composer = new Composer({
    send: (text, replyTo) => this.#send(text, replyTo),
    edit: (message, text) => settled(this.#chat.edit(message.id, text)),
    editLast: () => this.#editLast(),
    say: (sentence) => this.#say(sentence, null),
    resize: (change) => this.#list.keepEnd(change),
    members: () => this.#others,
    maxText: () => this.#client?.maxTextLength ?? MAX_TEXT,
    authorOf: ({ sender }) => (sender ? this.#nameOf(sender.id, nameOf(sender)) : ""),
  });
  #picker = new ReactionPicker(at("picker"), (row, key) => this.#react(this.#list.messageOf(row), key));
  #isPainting = false;
  #unread = 0; // of the chat when it was opened, until its first unread message is known
  #unreadSeq = null; // of that message
  #unseen = 0;
  #lastSeq = 0;
  #problem = ""; // an error that is shown for a while
  #problemTimer;

  /** `onClosed(chat)` is called when the shown chat is closed to the user and nothing of it is unsent. */
  constructor(onClosed) {
    this.#onClosed = onClosed;
    at("log").addEventListener("scroll", () => this.#scrolled(), { passive: true });
    at("log").addEventListener("keydown", (event) => this.#logKey(event));
    at("log").addEventListener("click", (event) => this.#logClick(event));
    at("log").addEventListener("focusin", (event) => event.target.closest(".message")?.scrollIntoView({ block: "nearest" }));
    at("jump").addEventListener("click", () => this.#list.scrollToEnd());
    document.addEventListener("visibilitychange", () => this.#schedule());
    for (const type of ["online", "offline"]) addEventListener(type, () => this.#schedule());
    setInterval(() => (this.#client?.retryAt || this.#chat?.held) && this.#schedule(), 1000); // the countdowns
  }

  /** The chat that is shown, or null. */
  get chat() {
    return this.#chat;
  }

  /** Whether the open chat has a text that is not stored by the server: a draft, pending or rejected. */
  get hasUnsent() {
    return this.#chat !== null && (this.#chat.hasUnsent || this.#composer.text.trim() !== "");
  }

  /** From now on chats of this client and user are shown. */
  begin(client, me) {
    this.#client = client;
    this.#me = me;
    this.#composer.keepDraftsOf(me);
  }

  /** Shows `chat` in place of the previous one. */
  show(chat) {
    this.hide();
    this.#chat = chat;
    this.#unread = this.#client.chats.get(chat.id)?.unread ?? 0;
    this.#unreadSeq = null;
    this.#unseen = 0;
    this.#lastSeq = chat.lastSeq;
    const schedule = () => this.#schedule();
    const problem = ({ message }) => this.#say(asSentence(message));
    this.#off = [chat.on("change", schedule), chat.on("problem", problem), this.#client.on("change", schedule)];
    at("talk").hidden = false;
    at("room-empty").hidden = true;
    this.#composer.open(chat);
    this.#release = chat.open();
    this.#paint();
    this.#list.scrollToEnd();
    if (matchMedia("(hover: hover)").matches) this.#composer.focus(); // on a phone it would open the keyboard
  }

  /** Shows no chat. What is not sent goes on being sent. */
  hide() {
    if (!this.#chat) return;
    for (const off of this.#off) off();
    this.#chat.setTyping(false);
    this.#chat = null;
    this.#release();
    this.#composer.close();
    this.#list.clear();
    this.#announcer.clear();
    this.#say("");
    at("talk").hidden = true;
    at("room-empty").hidden = false;
  }

  /** Loads the history down to a day (`2030-01-31`, of the reader's calendar) and shows its first message. */
  async goTo(day) {
    const chat = this.#chat;
    const start = new Date(`${day}T00:00`);
    for (let page = 0; page < MAX_PAGES && chat.hasOlder && new Date(chat.messages[0]?.timestamp ?? 0) >= start; page += 1) {
      const before = chat.messages.length;
      await (chat.isLoading ? changed(chat) : chat.loadOlder());
      if (chat !== this.#chat) return;
      if (chat.messages.length === before && !chat.isLoading) break; // there is no connection
    }
    this.#paint();
    const found = chat.messages.find(({ timestamp }) => new Date(timestamp) >= start) ?? chat.messages.at(-1);
    if (found) this.#list.show(found);
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
    if (this.#chat.state === "closed" && !this.hasUnsent) return this.#onClosed(this.#chat);
    this.#paintHead();
    this.#banner.paint(this.#client, this.#chat);
    this.#paintLog();
    this.#paintTypists();
    this.#paintProblem();
    if (!document.hidden && this.#list.isAtEnd && this.#chat.lastSeq !== null) this.#chat.markRead();
  }

  /** The chat with its members; null until the list or the chat is loaded. */
  get #info() {
    return this.#chat.info ?? this.#client.chats.get(this.#chat.id) ?? { id: this.#chat.id, title: "…", members: [] };
  }

  get #others() {
    return this.#info.members.filter((member) => member.user_id !== this.#me.id);
  }

  get #state() {
    const { state } = this.#client;
    if (state === "closed" || this.#chat.state === "closed") return "closed";
    if (isInterrupted(this.#client)) return "live";
    if (state !== "live") return state;
    return this.#chat.state === "live" ? "live" : "connecting";
  }

  #paintHead() {
    const { presence } = this.#chat;
    const state = this.#state;
    const title = titleOf(this.#info, this.#me.id);
    say("talk-title", title);
    at("text").setAttribute("aria-label", t("Message to {title}", { title }));
    paintAvatar(at("talk-avatar"), avatarIdOf(this.#info, this.#me.id), title);
    const here = [...presence.users].filter(([id]) => id !== this.#me.id).map(([id, name]) => this.#nameOf(id, name));
    const isLive = state === "live";
    say("talk-presence", isLive ? presenceOf(here, presence.count) : t("Not connected"));
    at("talk-avatar").classList.toggle("online", isLive && (here.length > 0 || presence.count > 1));
    at("node").dataset.state = state;
    say("node-name", isLive ? this.#client.node : t(state === "connecting" ? "connecting" : "offline"));
    at("node").title = isLive ? t("This window is served by the replica {node}", { node: this.#client.node }) : "";
  }

  #nameOf(id, name) {
    const member = this.#info.members.find((one) => one.user_id === id);
    return member ? nameOf(member) : name;
  }

  #paintLog() {
    const { messages, lastSeq, hasOlder } = this.#chat;
    this.#composer.follow(messages);
    this.#findUnread(messages);
    const wasAtEnd = this.#list.isAtEnd;
    const nameOfSender = (sender) => this.#nameOf(sender.id, nameOf(sender));
    this.#list.paint(messages, {
      myId: this.#me.id,
      nameOfSender,
      tickOf: (message) => this.#tickOf(message),
      unreadSeq: this.#unreadSeq,
    });
    at("log-start").hidden = hasOlder || !this.#list.isAtStart;
    say("log-start", t(messages.length === 0 ? "Nothing here yet. Say hello." : "This is where it began."));
    if (lastSeq > this.#lastSeq && !wasAtEnd) this.#unseen += 1;
    if (lastSeq > this.#lastSeq && this.#lastSeq !== null) this.#announcer.announce(messages, this.#lastSeq, this.#me.id, nameOfSender);
    if (this.#list.isAtEnd) this.#unseen = 0;
    this.#lastSeq = lastSeq;
    at("jump").hidden = this.#unseen === 0;
    if (this.#list.isAtStart && at("log").scrollTop < OLDER_WITHIN_PX && messages.length > 0) this.#chat.loadOlder();
    if (this.#list.isNearEdge) this.#schedule();
  }

  /** Finds the first message that was unread when the chat was opened, once the messages are there. */
  #findUnread(messages) {
    if (this.#unread === 0 || this.#chat.state !== "live" || messages.length === 0) return;
    const others = messages.filter(({ sender, seq, is_deleted: isDeleted }) => seq !== null && sender?.id !== this.#me.id && !isDeleted);
    this.#unreadSeq = others.at(-Math.min(this.#unread, others.length))?.seq ?? null;
    this.#unread = 0;
  }

  #tickOf(message) {
    if (message.status === "rejected") return ["waiting", t("Not sent")];
    if (message.id === null) return ["waiting", t(this.#state === "live" ? "Sending" : "Waiting for the connection")];
    const others = this.#others;
    const readers = others.filter((member) => this.#chat.hasRead(member.user_id, message));
    if (readers.length === 0) return ["sent", t("Sent")];
    const who = readers.length === others.length && others.length > 1 ? t("everyone") : listed(readers.map(nameOf));
    return ["read", t("Read by {who}", { who })];
  }

  #paintProblem() {
    const { held } = this.#chat;
    const sentence = held ? `${asSentence(held.message)} ${t("Your message goes out {when}.", { when: inSeconds(held.until) })}` : this.#problem;
    say("problem", sentence);
  }

  #paintTypists() {
    const names = [...this.#chat.typing].map(([id, name]) => this.#nameOf(id, name));
    const words = names.length > 3 ? t("Several people are typing") : t("{names} are typing", { names: listed(names) }, names.length);
    say("typing", names.length ? words : "");
    at("typing").classList.toggle("busy", names.length > 0);
  }

  /** Shows `sentence` for `ms`; with null until the next one. */
  #say(sentence, ms = PROBLEM_SHOWN_MS) {
    this.#problem = sentence;
    this.#schedule();
    clearTimeout(this.#problemTimer);
    if (sentence && ms !== null) this.#problemTimer = setTimeout(() => this.#say(""), ms);
  }

  // --- callbacks of the composer

  #send(text, replyTo) {
    this.#say("");
    const mentions = mentionsIn(text, this.#others);
    const sent = this.#chat.send(text, { ...(replyTo && { reply_to: replyTo.id }), ...(mentions.length > 0 && { mentions }) });
    sent.catch((error) => error.code === "outbox_full" && (this.#composer.takeBack(text), this.#say(asSentence(error.message))));
    this.#unreadSeq = null;
    this.#paint(); // at once, not with the next frame
    this.#list.scrollToEnd();
  }

  #editLast() {
    const mine = this.#chat.messages.filter(({ id, sender, is_deleted: isDeleted }) => id !== null && sender?.id === this.#me.id && !isDeleted);
    if (mine.length > 0) this.#composer.startEditing(mine.at(-1));
  }

  // --- the messages

  #scrolled() {
    if (at("log").scrollTop < OLDER_WITHIN_PX || this.#unseen > 0 || this.#list.isAtEnd || this.#list.isNearEdge) this.#schedule();
  }

  #logClick(event) {
    const message = this.#list.messageOf(event.target);
    const reaction = event.target.closest(".reaction");
    const quote = event.target.closest(".quote");
    if (reaction) this.#react(message, reaction.dataset.key);
    else if (quote) this.#list.show(this.#chat.messages.find(({ id }) => id === Number(quote.dataset.id)));
    else if (event.target.closest(".act-react")) this.#pick(message);
    else if (event.target.closest(".act-reply")) this.#composer.startReplying(message);
    else if (event.target.closest(".act-edit")) this.#edit(message);
    else if (event.target.closest(".act-delete")) this.#delete(message);
  }

  #pick(message) {
    this.#list.keepEnd(() => this.#picker.toggle(this.#list.rowOf(message)));
  }

  #react(message, key) {
    if (message) settled(this.#chat.react(message.id, key, { remove: message.own_reactions?.includes(key) === true }));
  }

  #edit(message) {
    if (message.status !== "rejected") return this.#composer.startEditing(message);
    this.#chat.discard(message);
    this.#composer.takeBack(message.text);
  }

  #delete(message) {
    if (message.status === "rejected") this.#chat.discard(message);
    else this.#confirmDelete(message);
  }

  /** Keys in the log: arrows move through messages; R reacts, Q quotes, E edits and Delete deletes own ones; Escape returns to writing. */
  #logKey(event) {
    const message = this.#list.messageOf(document.activeElement);
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const isStored = message && message.id !== null && !message.is_deleted;
    const isMine = message?.sender?.id === this.#me.id && (message.id !== null || message.status === "rejected") && !message.is_deleted;
    if (step) {
      const all = this.#chat.messages;
      const next = message ? all[all.indexOf(message) + step] : all.at(-1);
      if (next && !this.#list.rowOf(next)) this.#list.show(next);
      this.#list.rowOf(next)?.focus();
    } else if (event.key === "Escape") {
      this.#composer.focus();
    } else if (event.key === "r" && isStored) {
      this.#pick(message);
    } else if (event.key === "q" && isStored) {
      this.#composer.startReplying(message);
    } else if (event.key === "e" && isMine) {
      this.#edit(message);
    } else if (event.key === "Delete" && isMine) {
      this.#delete(message);
    } else {
      return;
    }
    event.preventDefault();
  }

  #confirmDelete(message) {
    const dialog = at("delete-dialog");
    const chat = this.#chat;
    dialog.returnValue = "keep";
    say("delete-quote", message.text);
    dialog.onclose = () => dialog.returnValue === "delete" && settled(chat.delete(message.id));
    dialog.showModal();
  }
}

/** A command whose failure the event `problem` shows. */
function settled(stored) {
  stored.catch(() => {});
}

/** The next change of a chat. */
function changed(chat) {
  return new Promise((resolve) => {
    const off = chat.on("change", () => resolve(off()));
  });
}

/** The connected members other than the user, by name if they are few. */
function presenceOf(names, count) {
  if (names.length > 3 || count > names.length + 1) return t("{count} are here", { count }, 2);
  if (names.length === 0) return t("Nobody else is here");
  return t("{names} are here", { names: listed(names) }, names.length);
}
