/** What waits for each webhook, and the dead letters, which can be delivered again; what removed webhooks left can be dropped. */

import { at, button, duration, make, table, time } from "./dom.js";
import { t } from "./words.js";

const EVERY_MS = 5_000;

export class Webhooks {
  #api;
  #timer;

  constructor(api) {
    this.#api = api;
  }

  async show() {
    this.hide();
    try {
      const [{ webhooks }, { dead_letters: letters, next }] = await Promise.all([
        this.#api.get("api/v1/webhooks"), this.#api.get("api/v1/webhooks/dead-letters"),
      ]);
      at("webhooks").replaceChildren(webhooks.length ? this.#table(webhooks) : nothing(t("No webhooks are set up.")));
      at("dead-letters").replaceChildren(letters.length ? this.#letters(letters) : nothing(t("No dead letters.")));
      at("dead-letters-more").hidden = next === null;
      at("webhooks-problem").textContent = "";
    } catch (error) {
      at("webhooks-problem").textContent = error.message;
    }
    this.#timer = setTimeout(() => this.show(), EVERY_MS);
  }

  hide() {
    clearTimeout(this.#timer);
  }

  #table(webhooks) {
    return table([t("name"), t("waiting events"), t("waiting chats"), t("failing chats"), t("lag"), t("dead letters"), ""], webhooks.map((one) => [
      one.is_removed ? `${one.name} (${t("removed")})` : one.name, String(one.waiting_events), String(one.waiting_chats), String(one.failing_chats), duration(one.lag_s),
      String(one.dead_letters), one.is_removed ? this.#drop(one) : one.dead_letters ? this.#replay(t("Deliver again"), { webhook: one.name }) : "",
    ]));
  }

  #letters(letters) {
    return table([t("id"), t("webhook"), t("event"), t("chat"), t("user"), t("given up"), t("error"), ""], letters.map((one) => [
      String(one.id), one.webhook, one.type, String(one.chat_id ?? "–"), String(one.user_id ?? "–"), time(one.given_up_at), one.error,
      this.#replay(t("Again"), { ids: [one.id] }),
    ]));
  }

  #drop({ name }) {
    return button(t("Drop"), "link", async () => {
      if (!confirm(t("Delete all that waits for {name}, and its dead letters? It will never be sent.", { name }))) return;
      while ((await this.#api.post("api/v1/webhooks/drop", { webhook: name })).has_more);
      await this.show();
    }, (sentence) => { at("webhooks-problem").textContent = sentence; });
  }

  #replay(text, which) {
    return button(text, "link", async () => {
      await this.#api.post("api/v1/webhooks/dead-letters/replay", which);
      await this.show();
    }, (sentence) => { at("webhooks-problem").textContent = sentence; });
  }
}

function nothing(text) {
  return make("p", { className: "muted", textContent: text });
}
