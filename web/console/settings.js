/** The settings in effect on the replica that answers, filtered by a text. */

import { at, make, table } from "./dom.js";
import { t } from "./words.js";

export class Settings {
  #api;
  #settings = [];

  constructor(api) {
    this.#api = api;
    at("settings-filter").addEventListener("input", () => this.#show());
    at("settings-changed").addEventListener("change", () => this.#show());
  }

  async show() {
    try {
      const { answered_by: node, settings } = await this.#api.get("api/v1/settings");
      this.#settings = settings;
      at("settings-node").textContent = t("of {node}", { node });
      at("settings-problem").textContent = "";
      this.#show();
    } catch (error) {
      at("settings-problem").textContent = error.message;
    }
  }

  #show() {
    const text = at("settings-filter").value.trim().toLowerCase();
    const shown = this.#settings.filter((one) =>
      (!at("settings-changed").checked || !one.is_default) && `${one.name} ${one.meaning}`.toLowerCase().includes(text));
    at("settings").replaceChildren(table([t("setting"), t("value"), t("meaning")], shown.map((one) => [
      make("code", { textContent: one.name }), value(one), make("span", {}, ...prose(one.meaning)),
    ])));
  }
}

/** The text, with what stands between backticks as code. */
function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? make("code", { textContent: part }) : part));
}

function value(setting) {
  return make("span", { className: setting.is_default ? "muted" : "" }, make("code", { textContent: setting.value }));
}
