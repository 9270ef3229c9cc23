/**
 * The page: the login, the list of chats and the open chat (`#<chat id>` in the URL).
 *
 * The token is kept per window, not only in the cookie that login sets: all windows of a browser share their cookies,
 * and two windows may have two users here.
 */

import { Api, Chat, hasUnsent, userOf } from "./chat.js";
import { ChatList } from "./chat_list.js";
import { Conversation, titleOf } from "./conversation.js";
import { kept } from "./kept.js";
import { paintAvatar } from "./message_list.js";

const SESSION = "chat-token";
const RENEWAL = "chat-refresh-token";
const REFRESH_MS = 3_000;
const RENEWAL_MS = 10_000; // a token that is refused so soon after its renewal would be refused again
const OFFLINE_ANSWER_MS = 2_000; // the server may run on this computer and be reachable without a network
const LOGIN_FORMS = {
  login: {
    title: "Welcome back", hint: "Log in to continue.", submit: "Log in",
    question: "New here?", other: "Create an account", password: "current-password",
  },
  register: {
    title: "Create an account", hint: "A login and a password are all it takes.", submit: "Create account",
    question: "Have an account?", other: "Log in", password: "new-password",
  },
};

const at = (id) => document.getElementById(id);
const base = new URL("..", import.meta.url).href; // the URL of the server, possibly with a path prefix
const api = new Api({ base });
const conversation = new Conversation(api, (chatId) => markListed(chatId));
const renewals = new BroadcastChannel("chat-renewals"); // from any tab of this origin to the others
const chats = new Map(); // chat id → Chat, kept so that a reopened chat is shown at once and resumes
let me = null; // {id, username}
let list = null; // the `ChatList` of the user
let infos = []; // the chats as listed by the HTTP API
let loginForm = "login"; // or "register"
let isEntering = false;
let isRenewing = false;
let renewedAt = -Infinity; // ms
let isCreating = false;
let isFlushed = false; // whether unsent messages of an earlier session are being sent
let loggingOut = Promise.resolve();
const invitation = new URLSearchParams(location.search).get("invitation");

// --- login

function showLogin(name, sentence = "") {
  loginForm = name;
  const words = LOGIN_FORMS[name];
  const form = at("login-form");
  document.body.dataset.view = "login";
  at("login-title").textContent = words.title;
  at("login-hint").textContent = words.hint;
  at("login-submit").textContent = words.submit;
  at("login-question").textContent = words.question;
  at("login-switch").textContent = words.other;
  at("login-error").textContent = sentence;
  form.elements.password.autocomplete = words.password;
  for (const part of document.querySelectorAll("[data-only=register]")) part.hidden = name !== "register";
  form.elements.login.focus();
}

async function enter(event) {
  event.preventDefault();
  if (isEntering) return;
  isEntering = true;
  const fields = Object.fromEntries(new FormData(event.target));
  at("login-error").textContent = "";
  at("login-submit").disabled = true;
  try {
    await loggingOut; // its response would clear the cookie of this login
    if (loginForm === "register") {
      const { otp: _, ...account } = fields;
      await api.register(invitation ? { ...account, invitation } : account);
      if (invitation) history.replaceState(null, "", location.pathname + location.hash); // it is used up
      showLogin("login"); // the account exists now, even if the login fails
    }
    await api.login(fields.login, fields.password, fields.otp);
    at("login-otp").hidden = true;
    event.target.reset();
    begin();
  } catch (error) {
    at("login-error").textContent = error.message;
    if (error.code === "otp_required" || error.code === "invalid_otp") {
      at("login-otp").hidden = false;
      event.target.elements.otp.value = "";
      event.target.elements.otp.focus();
    }
  } finally {
    isEntering = false;
    at("login-submit").disabled = false;
  }
}

function begin() {
  keepTokens();
  me = userOf(api.token);
  list = new ChatList(api);
  isFlushed = false;
  conversation.keepDraftsOf(me);
  at("my-name").textContent = me.username;
  paintAvatar(at("my-avatar"), me.id, me.username);
  document.body.dataset.view = "list";
  refresh();
}

function keepTokens() {
  kept.setItem(SESSION, api.token);
  kept.setItem(RENEWAL, api.refreshToken);
}

/** Renews the login, after its token was refused; if that is refused too, returns to the login with the sentence. */
async function renew(sentence) {
  if (isRenewing) return;
  if (!api.refreshToken || performance.now() - renewedAt < RENEWAL_MS) return end(sentence);
  isRenewing = true;
  const asker = me;
  const from = api.refreshToken;
  try {
    await api.refresh();
    if (me !== asker) return;
    renewals.postMessage({ from, token: api.token, refreshToken: api.refreshToken });
    useRenewed();
  } catch (error) {
    const isRefused = error.status >= 400 && error.status < 500 && error.status !== 429;
    if (isRefused && me === asker) end(error.status === 403 ? error.message : sentence);
  } finally {
    isRenewing = false; // after an outage, the next refresh of the list tries again
  }
}

function useRenewed() {
  renewedAt = performance.now();
  keepTokens();
  for (const chat of chats.values()) {
    chat.token = api.token;
    if (chat.closeCode === 4401) chat.open();
  }
}

/** A copy of this tab has its refresh token, which is used once: a tab that renews passes the new one on to the others. */
renewals.onmessage = ({ data }) => {
  if (!api.refreshToken || data.from !== api.refreshToken) return;
  api.token = data.token;
  api.refreshToken = data.refreshToken;
  useRenewed();
};

/** Returns to the login. Unsent messages stay in this window for the next login of the same user. */
function end(sentence) {
  kept.removeItem(SESSION);
  kept.removeItem(RENEWAL);
  conversation.hide();
  for (const chat of chats.values()) chat.stop();
  chats.clear();
  api.token = api.refreshToken = null;
  me = null;
  infos = [];
  document.title = "Chat";
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  showLogin("login", sentence);
}

function switchUser() {
  const dialog = at("leave-dialog");
  dialog.returnValue = "stay";
  dialog.onclose = () => dialog.returnValue === "leave" && logOut();
  if ([...chats.values()].some((chat) => chat.hasUnsent)) dialog.showModal();
  else logOut();
}

function logOut() {
  loggingOut = api.logout().catch(() => {}); // if unreachable, the next login replaces the cookie
  end("");
}

// --- list of chats

async function refresh() {
  const asker = me;
  if (!asker) return;
  let found;
  try {
    found = await list.read();
  } catch (error) {
    if (error.status === 401 && me === asker) renew("Your session has ended. Please log in again.");
    return; // otherwise the next refresh may succeed; an open chat shows a lost link itself
  }
  if (me !== asker) return;
  infos = found;
  route();
  flush();
}

/** Sends the unsent messages of an earlier session of this user, in all chats. */
function flush() {
  if (isFlushed) return;
  isFlushed = true;
  for (const { id } of infos) {
    if (id === conversation.chatId || !hasUnsent(kept, me, id)) continue;
    chatOf(id).open();
    chatOf(id).leave();
  }
}

function paintList() {
  const items = at("chat-list");
  at("no-chats").hidden = infos.length > 0;
  while (items.children.length > infos.length) items.lastElementChild.remove();
  infos.forEach((info, index) => paintListed(items.children[index] ?? newListed(items), info));
  const unread = infos.reduce((sum, info) => sum + info.unread, 0);
  document.title = unread ? `(${unread}) Chat` : "Chat";
}

function newListed(items) {
  items.append(at("chat-template").content.cloneNode(true));
  return items.lastElementChild;
}

function paintListed(item, info) {
  const title = titleOf(info, me.id);
  const others = info.members.filter((member) => member.user_id !== me.id);
  const link = item.querySelector("a");
  const unread = item.querySelector(".unread");
  link.href = `#${info.id}`;
  if (info.id === conversation.chatId) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  paintAvatar(item.querySelector(".avatar"), others.length === 1 ? others[0].user_id : info.id, title);
  item.querySelector(".chat-name").textContent = title;
  unread.textContent = info.unread >= 100 ? "99+" : info.unread || "";
  unread.setAttribute("aria-label", info.unread ? `${info.unread} unread` : "");
}

function markListed(chatId) {
  const info = infos.find(({ id }) => id === chatId);
  if (!info?.unread) return;
  info.unread = 0;
  paintList();
}

// --- open chat

function route() {
  if (!me) return;
  const id = Number(location.hash.slice(1));
  const info = infos.find((candidate) => candidate.id === id);
  // A chat that the user was removed from stays while it has unsent text, which could not be copied elsewhere.
  const isShown = Boolean(info) || (id === conversation.chatId && conversation.hasUnsent);
  document.body.dataset.view = isShown ? "chat" : "list"; // first, as hidden elements have no size
  if (info && conversation.chatId !== id) conversation.show(chatOf(id), info);
  else if (!isShown) conversation.hide();
  paintList();
}

function chatOf(chatId) {
  if (!chats.has(chatId)) {
    const chat = new Chat({ chatId, me, base, token: api.token, storage: kept });
    chat.addEventListener("change", () => changed(chat));
    chats.set(chatId, chat);
  }
  return chats.get(chatId);
}

function changed(chat) {
  if (chat.closeCode === 4401) renew(chat.reason);
  else if (chat.readSeqs.get(me?.id) >= chat.timeline.lastSeq) markListed(chat.chatId); // read on another socket
}

async function create(event) {
  event.preventDefault();
  const logins = event.target.elements.logins.value.split(/[\s,]+/).filter(Boolean);
  if (logins.length === 0 || isCreating) return;
  isCreating = true;
  at("new-error").textContent = "";
  at("new-submit").disabled = true;
  try {
    const { id } = await api.createChat(logins);
    at("new-dialog").close();
    event.target.reset();
    await refresh();
    location.hash = id;
  } catch (error) {
    at("new-error").textContent = error.message;
  } finally {
    isCreating = false;
    at("new-submit").disabled = false;
  }
}

function askForChat() {
  at("new-error").textContent = "";
  at("new-dialog").showModal();
}

function wake() {
  if (document.hidden) return;
  refresh();
  for (const chat of chats.values()) chat.wake();
}

function goOffline() {
  for (const chat of chats.values()) chat.probe(OFFLINE_ANSWER_MS);
}

at("login-form").addEventListener("submit", enter);
at("login-form").addEventListener("input", () => (at("login-error").textContent = ""));
at("login-switch").addEventListener("click", () => showLogin(loginForm === "login" ? "register" : "login"));
at("switch-user").addEventListener("click", switchUser);
at("new-chat").addEventListener("click", askForChat);
at("new-chat-large").addEventListener("click", askForChat);
at("new-cancel").addEventListener("click", () => at("new-dialog").close());
at("new-form").addEventListener("submit", create);
at("new-form").addEventListener("input", () => (at("new-error").textContent = ""));
addEventListener("hashchange", route);
addEventListener("online", wake);
addEventListener("offline", goOffline);
document.addEventListener("visibilitychange", wake);
addEventListener("beforeunload", (event) => [...chats.values()].some((chat) => chat.hasUnsent) && event.preventDefault());
setInterval(refresh, REFRESH_MS);

api.token = kept.getItem(SESSION);
api.refreshToken = kept.getItem(RENEWAL);
if (api.token) begin();
else showLogin(invitation ? "register" : "login");
