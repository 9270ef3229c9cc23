/** The dialog about a chat: its title and members, their roles, adding, removing, muting and leaving. */

import { asSentence, nameOf, paintAvatar, setText, titleOf } from "./names.js";
import { t } from "./words.js";

const UNREACHABLE = "The server cannot be reached. Please check your connection and try again.";
const FOR_EVER = "9999-12-31T23:59:59Z";
const ROLES = { member: "Member", moderator: "Moderator", reader: "Reader" };
const KINDS_WITH_MEMBERS = new Set(["group", "public"]);

const at = (id) => document.getElementById(id);

export class ChatInfo {
  #client = null;
  #me = null;
  #chat = null;
  #info = null;
  #off = [];

  /** `goTo(day)` shows the first message of a day. */
  constructor(goTo) {
    at("info-day-form").addEventListener("submit", (event) => this.#submit(event, async ({ day }) => {
      at("info-dialog").close();
      await goTo(day);
    }));
    at("info-close").addEventListener("click", () => at("info-dialog").close());
    at("info-dialog").addEventListener("close", () => this.#closed());
    at("info-title-form").addEventListener("submit", (event) => this.#submit(event, ({ title }) => this.#call("PATCH", "", { title: title.trim() })));
    at("info-add-form").addEventListener("submit", (event) => this.#submit(event, async ({ login }) => {
      await this.#call("POST", "/members", { login: login.trim() });
      event.target.reset();
    }));
    at("info-mute").addEventListener("change", ({ target }) => this.#attempt(() => this.#call("PATCH", "/me", { muted_until: target.checked ? FOR_EVER : null })));
    at("info-pin").addEventListener("change", ({ target }) => this.#attempt(() => this.#call("PATCH", "/me", { pinned: target.checked })));
    at("info-leave").addEventListener("click", () => this.#attempt(async () => {
      at("info-dialog").close();
      await this.#call("DELETE", `/members/${this.#me.id}`);
    }));
  }

  /** Shows what is known of `chat`, and follows it until the dialog is closed. */
  async open(client, me, chat) {
    this.#client = client;
    this.#me = me;
    this.#chat = chat;
    this.#say("");
    at("info-title-form").elements.title.value = chat.info?.title ?? "";
    const listed = client.chats.get(chat.id);
    at("info-mute").checked = Boolean(listed?.muted_until) && Date.parse(listed.muted_until) > Date.now();
    at("info-pin").checked = listed?.pinned === true;
    this.#info = chat.info;
    this.#off = [chat.on("change", () => this.#paint())];
    this.#paint();
    at("info-dialog").showModal();
    await this.#attempt(() => this.#load());
  }

  /** Reads the chat: who comes and goes is not told to the other members. */
  async #load() {
    const chat = this.#chat;
    const info = await this.#client.call("GET", `/api/v1/chats/${chat.id}`);
    if (chat !== this.#chat || !at("info-dialog").open) return;
    this.#info = info;
    this.#paint();
  }

  #closed() {
    for (const off of this.#off) off();
    this.#off = [];
    this.#info = null;
    delete at("info-members").dataset.look;
    for (const id of ["info-name", "info-count", "info-members"]) at(id).replaceChildren(); // the next user may be another
    for (const form of ["info-title-form", "info-add-form"]) at(form).reset();
  }

  #paint() {
    const info = this.#info;
    if (!info) return;
    const isOwner = info.owner_id === this.#me.id;
    const hasMembers = KINDS_WITH_MEMBERS.has(info.kind);
    const own = info.members.find(({ user_id: id }) => id === this.#me.id);
    setText(at("info-name"), titleOf(info, this.#me.id));
    setText(at("info-count"), t("{count} members", { count: info.member_count }));
    at("info-title-form").hidden = !isOwner || !hasMembers;
    at("info-add-form").hidden = !isOwner || !hasMembers;
    at("info-leave").hidden = !hasMembers;
    const mayRemove = isOwner || own?.role === "moderator";
    const look = JSON.stringify([info.members, info.owner_id]);
    if (at("info-members").dataset.look === look) return;
    at("info-members").dataset.look = look;
    at("info-members").replaceChildren(...info.members.map((member) => this.#row(member, { info, isOwner: isOwner && hasMembers, mayRemove: mayRemove && hasMembers })));
  }

  #row(member, { info, isOwner, mayRemove }) {
    const row = at("member-template").content.firstElementChild.cloneNode(true);
    const name = nameOf(member);
    const isMe = member.user_id === this.#me.id;
    const isTheOwner = member.user_id === info.owner_id;
    const part = (selector) => row.querySelector(selector);
    paintAvatar(part(".avatar"), member.user_id, name);
    part(".member-name").textContent = isMe ? t("{name} (you)", { name }) : name;
    part(".member-role").textContent = t(isTheOwner ? "Owner" : (ROLES[member.role] ?? member.role));
    const select = part("select");
    select.hidden = !isOwner || isTheOwner;
    part(".member-role").hidden = !select.hidden;
    select.setAttribute("aria-label", t("Role of {name}", { name }));
    select.append(...Object.entries(ROLES).map(([value, text]) => new Option(t(text), value, false, value === member.role)));
    select.addEventListener("change", () => this.#attempt(() => this.#call("PATCH", `/members/${member.user_id}`, { role: select.value })));
    part(".member-remove").hidden = !mayRemove || isMe || isTheOwner;
    part(".member-remove").setAttribute("aria-label", t("Remove {name}", { name }));
    part(".member-remove").addEventListener("click", () => this.#attempt(() => this.#call("DELETE", `/members/${member.user_id}`)));
    return row;
  }

  /** A call about the chat, which is then read again. */
  async #call(method, path, body) {
    await this.#client.call(method, `/api/v1/chats/${this.#chat.id}${path}`, body);
    if (at("info-dialog").open) await this.#load();
  }

  #submit(event, act) {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    this.#attempt(() => act(fields));
  }

  async #attempt(act) {
    this.#say("");
    try {
      await act();
    } catch (error) {
      this.#say(error.name === "Rejected" ? asSentence(error.message) : t(UNREACHABLE));
    }
  }

  #say(sentence) {
    setText(at("info-problem"), sentence);
  }
}
