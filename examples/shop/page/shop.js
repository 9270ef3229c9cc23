import { Chat } from "./chat/chat.js";

const find = (selector) => document.querySelector(selector);
let chat, number, hasNewToken;

async function call(method, path, body) {
  const content = body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, { method, ...content });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.detail ?? "The shop is not available.");
  return answer;
}

async function showUser() {
  const user = await call("GET", "me");
  find("#sign-in").hidden = true;
  find("main").hidden = false;
  find("#name").textContent = user.name;
  find("#ban").hidden = !user.is_staff;
  find("#pushes").replaceChildren(...user.pushes.map((text) => element("li", text)));
  find("#orders").replaceChildren(...user.orders.map((order) => {
    const button = element("button", `Order ${order.number} of ${order.of}`);
    button.onclick = () => attempt(() => open(order.number));
    return button;
  }));
}

async function open(order) {
  const { gateway: base, chat_id: chatId, token, me } = await call("GET", `orders/${order}/chat`);
  chat?.leave();
  number = order;
  chat = new Chat({ base, chatId, token, me });
  chat.addEventListener("change", showChat);
  chat.addEventListener("problem", ({ detail }) => showProblem(detail.message));
  chat.open();
}

function showChat({ target }) {
  if (target !== chat) return; // of the chat that was left
  if (chat.state === "live") hasNewToken = false;
  if (chat.closeCode === 4401 && !hasNewToken) attempt(renew);
  find("section").hidden = false;
  showProblem(chat.reason ?? "");
  find("#messages").replaceChildren(...chat.timeline.all.map(({ text, sender, isSystem, isDeleted, failure }) => {
    const line = isSystem ? text : `${sender.first_name || sender.username}: ${isDeleted ? "(deleted)" : text}`;
    return element("li", line, isSystem ? "system" : failure ? "failed" : "");
  }));
}

/** The token has ended: a new one, unless the shop does not know the user any more. */
async function renew() {
  hasNewToken = true;
  chat.token = (await call("GET", `orders/${number}/chat`)).token;
  chat.open();
}

const element = (name, textContent, className = "") =>
  Object.assign(document.createElement(name), { textContent, className });
const showProblem = (text) => (find("#problem").textContent = text);
const attempt = (action) => action().catch((error) => showProblem(error.message));
const onClick = (id, action) => (find(id).onclick = () => attempt(action));
onClick("#place", async () => open((await call("POST", "orders")).number).then(showUser));
onClick("#pay", () => call("POST", `orders/${number}/pay`));
onClick("#ban", () => call("POST", `orders/${number}/ban`));
onClick("#erase", () => call("DELETE", "me").then(() => location.reload()));
find("#sign-in").onsubmit = (event) => {
  event.preventDefault();
  attempt(() => call("POST", "sign-in", Object.fromEntries(new FormData(event.target))).then(showUser));
};
find("#say").onsubmit = (event) => {
  event.preventDefault();
  if (chat.send(event.target.text.value)) event.target.reset();
};
showUser().catch(() => {}); // nobody is signed in
