/**
 * The operator's page: the service key, and the tab in the URL's fragment.
 *
 * The key stays in this window (`kept`) and is sent as a header only. `up` prints a URL with `#key=…`: the fragment is
 * not sent to the server, and is removed from the address at once.
 */

import { kept } from "../kept.js";
import { Api } from "./api.js";
import { Chats } from "./chats.js";
import { at, onSubmit } from "./dom.js";
import { Promised } from "./promised.js";
import { Replicas } from "./replicas.js";
import { Settings } from "./settings.js";
import { Users } from "./users.js";
import { Webhooks } from "./webhooks.js";
import { translate } from "./words.js";

const KEY = "console-key";
const base = new URL("../..", import.meta.url).href; // the URL of the server, possibly with a path prefix

let leave = () => {};

translate(document);

function showLogin(sentence = "") {
  leave();
  leave = () => {};
  kept.removeItem(KEY);
  document.body.dataset.view = "login";
  at("login-problem").textContent = sentence;
  at("key").focus();
}

/** Opens the console if the server accepts the key; throws `CallFailed`. */
async function enter(key) {
  const api = new Api(base, key);
  const list = await api.get("api/v1/replicas");
  kept.setItem(KEY, key);
  at("login-form").reset();
  document.body.dataset.view = "console";
  const replicas = new Replicas(api, (error) => {
    if (error.status === 403) showLogin(error.message);
    return error.status === 403;
  });
  const chats = new Chats(api);
  const tabs = {
    replicas: null,
    users: new Users(api, (id) => {
      location.hash = "chats";
      chats.open(String(id)).catch((error) => { at("chat-problem").textContent = error.message; });
    }),
    chats,
    webhooks: new Webhooks(api),
    settings: new Settings(api),
  };
  const promised = new Promised(api, list.controls === true);
  const show = () => showTab(tabs);
  addEventListener("hashchange", show);
  replicas.start(list);
  show();
  leave = () => {
    removeEventListener("hashchange", show);
    replicas.stop();
    chats.stop();
    tabs.webhooks.hide();
    promised.end();
    location.replace(`${location.pathname}${location.search}#`);
    location.reload(); // nothing that was read with the key stays on the page
  };
}

function showTab(tabs) {
  const name = location.hash.slice(1) in tabs ? location.hash.slice(1) : "replicas";
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const section of document.querySelectorAll("section[data-tab]")) section.hidden = section.dataset.tab !== name;
  for (const [one, tab] of Object.entries(tabs)) {
    if (one === name) tab?.show?.();
    else tab?.hide?.();
  }
}

function keyOfAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(null, "", location.pathname + location.search);
  return key;
}

onSubmit(at("login-form"), ({ key }) => enter(key.trim()), (sentence) => { at("login-problem").textContent = sentence; });
at("log-out").addEventListener("click", () => showLogin());
const key = keyOfAddress() ?? kept.getItem(KEY);
if (key) enter(key).catch((error) => showLogin(error.message));
else showLogin();
