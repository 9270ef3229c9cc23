/** The page: the login, the list of chats and the open chat (`#<chat id>` in the URL), on the JavaScript client. */

import { AuthApi, userOf } from "./api.js";
import { ChatInfo } from "./chat_info.js";
import { Client } from "./client/current/index.js";
import { Conversation } from "./conversation.js";
import { paintAvatar } from "./names.js";
import { Notifications } from "./notifications.js";
import { Session } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { Unsent } from "./unsent.js";
import { t, translate } from "./words.js";

const UNREACHABLE = "The server cannot be reached. Please check your connection and try again.";
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

translate(document);

const at = (id) => document.getElementById(id);
const base = new URL("..", import.meta.url).href; // the URL of the server, possibly with a path prefix
const api = new AuthApi(base);
const unsent = new Unsent();
const session = new Session(api, end);
const conversation = new Conversation(leave);
const chatInfo = new ChatInfo((day) => conversation.goTo(day));
const notifications = new Notifications(at("notify"));
const sidebar = new Sidebar(() => conversation.chat?.id ?? null);
let client = null;
let me = null; // {id, username}
let loginForm = "login"; // or "register"
let isEntering = false;
let isCreating = false;
let loggingOut = Promise.resolve();
const invitation = new URLSearchParams(location.search).get("invitation");

// --- login

function showLogin(name, sentence = "") {
  loginForm = name;
  const words = LOGIN_FORMS[name];
  const form = at("login-form");
  document.body.dataset.view = "login";
  at("login-title").textContent = t(words.title);
  at("login-hint").textContent = t(words.hint);
  at("login-submit").textContent = t(words.submit);
  at("login-question").textContent = t(words.question);
  at("login-switch").textContent = t(words.other);
  at("login-error").textContent = t(sentence);
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
    session.begin();
    begin();
    if (!conversation.chat) at("new-chat").focus(); // the form, which had the focus, is hidden now
  } catch (error) {
    at("login-error").textContent = t(error.message);
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
  me = userOf(api.token);
  client = new Client(base, { token: session.tokens(), clientId: "page", storage: unsent });
  conversation.begin(client, me);
  sidebar.open(client);
  notifications.begin(client, me);
  client.chats.on("change", route);
  at("my-name").textContent = me.username;
  paintAvatar(at("my-avatar"), me.id, me.username);
  document.body.dataset.view = "list";
  route();
}

/** Returns to the login. Unsent messages stay in this window for the next login of the same user. */
function end(sentence) {
  conversation.hide();
  sidebar.close();
  notifications.end();
  client?.close();
  client = me = null;
  session.forget();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  at("new-form").reset();
  showLogin("login", sentence);
}

function switchUser() {
  const dialog = at("leave-dialog");
  dialog.returnValue = "stay";
  dialog.onclose = () => dialog.returnValue === "leave" && logOut();
  if (hasUnsent()) dialog.showModal();
  else logOut();
}

function hasUnsent() {
  return me !== null && (unsent.count(me) > 0 || conversation.chat?.hasUnsent === true);
}

function logOut() {
  loggingOut = api.logout().catch(() => {}); // if unreachable, the next login replaces the cookie
  end("");
}

// --- open chat

function chosenId() {
  return Number(location.hash.slice(1));
}

/** Shows no chat in place of a closed one, unless another has been chosen whose `hashchange` is still to come. */
function leave(chat) {
  if (chosenId() === chat.id) location.replace("#");
}

function route() {
  if (!client?.chats.isLoaded) return;
  const id = chosenId();
  const isChat = Number.isInteger(id) && id > 0;
  document.body.dataset.view = isChat ? "chat" : "list"; // first, as hidden elements have no size
  if (!isChat) conversation.hide();
  else if (conversation.chat?.id !== id) conversation.show(client.chat(id));
  sidebar.paint();
}

async function create(event) {
  event.preventDefault();
  const logins = event.target.elements.logins.value.split(/[\s,]+/).filter(Boolean);
  if (logins.length === 0 || isCreating) return;
  isCreating = true;
  at("new-error").textContent = "";
  at("new-submit").disabled = true;
  try {
    const kind = logins.length === 1 ? "direct" : "group";
    const { id } = await client.call("POST", "/api/v1/chats", { kind, members: logins.map((login) => ({ login })) });
    at("new-dialog").close();
    event.target.reset();
    location.hash = id;
  } catch (error) {
    at("new-error").textContent = error.name === "Rejected" ? error.message : t(UNREACHABLE);
  } finally {
    isCreating = false;
    at("new-submit").disabled = false;
  }
}

function askForChat() {
  at("new-error").textContent = "";
  at("new-dialog").showModal();
}

at("login-form").addEventListener("submit", enter);
at("login-form").addEventListener("input", () => (at("login-error").textContent = ""));
at("login-switch").addEventListener("click", () => showLogin(loginForm === "login" ? "register" : "login"));
at("talk-info").addEventListener("click", () => chatInfo.open(client, me, conversation.chat));
at("switch-user").addEventListener("click", switchUser);
at("new-chat").addEventListener("click", askForChat);
at("new-chat-large").addEventListener("click", askForChat);
at("new-cancel").addEventListener("click", () => at("new-dialog").close());
at("new-form").addEventListener("submit", create);
at("new-form").addEventListener("input", () => (at("new-error").textContent = ""));
addEventListener("hashchange", route);
addEventListener("beforeunload", (event) => hasUnsent() && event.preventDefault());

if (session.isOpen) begin();
else showLogin(invitation ? "register" : "login");
