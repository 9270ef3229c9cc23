/**
 * The page: who is logged in, which chats there are, which one is open (the URL's `#<chat id>`).
 *
 * The token is kept per window (sessionStorage), not only in the cookie that login sets: all windows of a browser share
 * their cookies, and two windows are to be two users here.
 */

import { Api, Chat, userIdOf } from "./chat.js";
import { Conversation, titleOf } from "./conversation.js";
import { paintAvatar } from "./message_list.js";

const SESSION = "chat-session";
const REFRESH_MS = 3_000;
const DOORS = {
  login: {
    title: "Welcome back", hint: "Log in to go on talking.", submit: "Log in",
    question: "New here?", other: "Create an account", password: "current-password",
  },
  register: {
    title: "Create an account", hint: "A login and a password are all it takes.", submit: "Create account",
    question: "Have an account?", other: "Log in", password: "new-password",
  },
};

const at = (id) => document.getElementById(id);
const api = new Api();
const conversation = new Conversation(api, (chatId) => markListed(chatId));
const chats = new Map(); // chat id → Chat, kept so that a reopened chat is there at once and resumes
let me = null; // {id, username}
let infos = []; // the chats as HTTP lists them
let door = "login";

// --- who is there

function showDoor(name, sentence = "") {
  door = name;
  const words = DOORS[name];
  const form = at("door-form");
  document.body.dataset.view = "door";
  at("door-title").textContent = words.title;
  at("door-hint").textContent = words.hint;
  at("door-submit").textContent = words.submit;
  at("door-question").textContent = words.question;
  at("door-switch").textContent = words.other;
  at("door-error").textContent = sentence;
  form.elements.password.autocomplete = words.password;
  for (const part of document.querySelectorAll("[data-only=register]")) part.hidden = name !== "register";
  form.elements.login.focus();
}

async function enter(event) {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.target));
  at("door-error").textContent = "";
  at("door-submit").disabled = true;
  try {
    if (door === "register") await api.register(fields);
    const { access_token: token } = await api.login(fields.login, fields.password);
    sessionStorage.setItem(SESSION, JSON.stringify({ token, username: fields.login }));
    event.target.reset();
    begin(token, fields.login);
  } catch (error) {
    at("door-error").textContent = error.message;
  } finally {
    at("door-submit").disabled = false;
  }
}

function begin(token, username) {
  api.token = token;
  me = { id: userIdOf(token), username };
  at("my-name").textContent = username;
  paintAvatar(at("my-avatar"), me.id, username);
  document.body.dataset.view = "list";
  refresh();
}

function end(sentence) {
  sessionStorage.removeItem(SESSION);
  conversation.hide();
  for (const chat of chats.values()) chat.leave();
  chats.clear();
  api.token = null;
  me = null;
  infos = [];
  showDoor("login", sentence);
}

// --- the list

async function refresh() {
  const asker = me;
  if (!asker) return;
  let found;
  try {
    found = await api.chats();
  } catch (error) {
    if (error.status === 401 && me === asker) end("Your session has ended. Please log in again.");
    return; // else the next round may succeed; an open chat says by itself that the link is gone
  }
  if (me !== asker) return;
  infos = found;
  route();
}

function paintList() {
  const list = at("chat-list");
  at("no-chats").hidden = infos.length > 0;
  while (list.children.length > infos.length) list.lastElementChild.remove();
  infos.forEach((info, index) => paintListed(list.children[index] ?? newListed(list), info));
  const unread = infos.reduce((sum, info) => sum + info.unread, 0);
  document.title = unread ? `(${unread}) Chat` : "Chat";
}

function newListed(list) {
  list.append(at("chat-template").content.cloneNode(true));
  return list.lastElementChild;
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
  unread.textContent = info.unread || "";
  unread.setAttribute("aria-label", info.unread ? `${info.unread} unread` : "");
}

function markListed(chatId) {
  const info = infos.find(({ id }) => id === chatId);
  if (!info?.unread) return;
  info.unread = 0;
  paintList();
}

// --- what is open

function route() {
  if (!me) return;
  const id = Number(location.hash.slice(1));
  const info = infos.find((candidate) => candidate.id === id);
  if (info && conversation.chatId !== id) conversation.show(chatOf(id), info);
  else if (!info) conversation.hide();
  document.body.dataset.view = info ? "chat" : "list";
  paintList();
}

function chatOf(chatId) {
  if (!chats.has(chatId)) {
    const chat = new Chat({ chatId, me, token: api.token });
    chat.addEventListener("change", () => chat.closeCode === 4401 && end(chat.reason));
    chats.set(chatId, chat);
  }
  return chats.get(chatId);
}

async function create(event) {
  event.preventDefault();
  const logins = event.target.elements.logins.value.split(/[\s,]+/).filter(Boolean);
  if (logins.length === 0) return;
  at("new-error").textContent = "";
  try {
    const { id } = await api.createChat(logins);
    at("new-dialog").close();
    event.target.reset();
    await refresh();
    location.hash = id;
  } catch (error) {
    at("new-error").textContent = error.message;
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

at("door-form").addEventListener("submit", enter);
at("door-switch").addEventListener("click", () => showDoor(door === "login" ? "register" : "login"));
at("switch-user").addEventListener("click", () => end(""));
at("new-chat").addEventListener("click", askForChat);
at("new-chat-large").addEventListener("click", askForChat);
at("new-cancel").addEventListener("click", () => at("new-dialog").close());
at("new-form").addEventListener("submit", create);
addEventListener("hashchange", route);
addEventListener("online", wake);
document.addEventListener("visibilitychange", wake);
addEventListener("beforeunload", (event) => [...chats.values()].some((chat) => chat.isSending) && event.preventDefault());
setInterval(refresh, REFRESH_MS);

const session = JSON.parse(sessionStorage.getItem(SESSION));
if (session) begin(session.token, session.username);
else showDoor("login");
