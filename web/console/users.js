/** Finding a user by id, username or `sub:`; their clients and chats; ending sessions, bans. */

import { at, button, facts, make, onSubmit, table, time } from "./dom.js";
import { t } from "./words.js";

export class Users {
  #api;
  #openChat;

  /** `openChat(id)` shows a chat. */
  constructor(api, openChat) {
    this.#api = api;
    this.#openChat = openChat;
    onSubmit(at("user-form"), ({ user }) => this.find(user.trim()), fail);
  }

  /** Shows the user whom the text names. */
  async find(text) {
    at("user").replaceChildren();
    const { users } = await this.#api.get(`api/v1/users?${query(text)}`);
    if (users.length === 0) return fail(t("There is no such user."));
    await this.#show(users[0]);
  }

  async #show(user) {
    const id = user.user_id;
    const [ban, clients, chats] = await Promise.all([
      this.#ban(id),
      orSentence(this.#api.get(`api/v1/users/${id}/clients`)),
      orSentence(this.#api.get("api/v1/chats?order=activity&limit=20", { "X-On-Behalf-Of": String(id) })),
    ]);
    at("user").replaceChildren(
      make("header", {}, make("h3", { textContent: user.display_name || user.username, dir: "auto" }), banChip(ban)),
      facts([
        [t("id"), String(id)], [t("username"), user.username], [t("name"), [user.first_name, user.last_name].filter(Boolean).join(" ") || "–"],
        ...(user.sub ? [["sub", user.sub]] : []),
      ]),
      this.#actions(user, ban),
      make("h4", { textContent: t("Connected clients") }), clients.sentence ?? this.#clients(clients.value.clients),
      make("h4", { textContent: t("Chats") }), chats.sentence ?? this.#chats(chats.value.chats),
    );
  }

  /** The ban, null if there is none, undefined if the key may not know. */
  async #ban(id) {
    try {
      return await this.#api.get(`api/v1/users/${id}/ban`);
    } catch (error) {
      return error.status === 404 ? null : undefined;
    }
  }

  #actions(user, ban) {
    const url = `api/v1/users/${user.user_id}`;
    const again = () => this.#show(user);
    const done = make("p", { className: "muted", role: "status" });
    const disconnect = button(t("Disconnect"), "plain", async () => {
      await this.#api.post(`${url}/disconnect`, { reconnect: false });
      done.textContent = t("All sockets of the user were closed.");
    }, fail);
    const reason = make("input", { placeholder: t("reason, which the user never sees"), maxLength: 500, ariaLabel: t("Reason of the ban") });
    const act = ban
      ? button(t("Lift the ban"), "plain", async () => { await this.#api.delete(`${url}/ban`); await again(); }, fail)
      : button(t("Ban"), "danger", async () => { await this.#api.put(`${url}/ban`, { reason: reason.value }); await again(); }, fail);
    return make("div", { className: "acts" }, disconnect, ...(ban ? [] : [reason]), act, done);
  }

  #clients(clients) {
    if (clients.length === 0) return make("p", { className: "muted", textContent: t("None.") });
    const columns = Object.keys(clients[0]);
    return table(columns.map((name) => name.replaceAll("_", " ")), clients.map((one) => columns.map((name) => String(one[name] ?? "–"))));
  }

  #chats(chats) {
    if (chats.length === 0) return make("p", { className: "muted", textContent: t("None.") });
    return table([t("chat"), t("kind"), t("title"), t("last seq")], chats.map((chat) => [
      button(String(chat.id), "link", () => this.#openChat(chat.id), fail), chat.kind, chat.title || "–", String(chat.last_seq),
    ]));
  }
}

function query(text) {
  if (/^\d+$/.test(text)) return `ids=${text}`;
  const [name, value] = text.startsWith("sub:") ? ["subs", text.slice(4)] : ["usernames", text];
  return `${name}=${encodeURIComponent(value)}`;
}

function banChip(ban) {
  if (ban === undefined) return "";
  const text = ban ? (ban.until ? make("span", {}, `${t("banned until")} `, time(ban.until)) : t("banned")) : t("not banned");
  return make("span", { className: ban ? "chip bad" : "chip" }, text);
}

/** The answer, or the reason why there is none. */
async function orSentence(answer) {
  try {
    return { value: await answer };
  } catch (error) {
    return { sentence: make("p", { className: "muted", textContent: error.message }) };
  }
}

function fail(sentence) {
  at("user-problem").textContent = sentence;
}
