import { Client } from "./chat/index.js";

const find = (selector) => document.querySelector(selector);
let client, chat, release, number;
let off = [];

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
  number = order;
  const { gateway, chat_id: id } = await call("GET", `orders/${order}/chat`);
  client ??= new Client(gateway, { token: async () => (await call("GET", `orders/${number}/chat`)).token });
  release?.();
  for (const end of off) end();
  chat = client.chat(id);
  release = chat.open();
  off = [client.on("change", showChat), chat.on("change", showChat), chat.on("problem", ({ message }) => showProblem(message))];
  showChat();
}

function showChat() {
  find("section").hidden = false;
  const blocked = client.closeCode === 4408 ? "This account has been blocked." : "";
  showProblem(blocked || (chat.error?.message ?? ""));
  find("#messages").replaceChildren(...chat.messages.map(({ text, sender, kind, is_deleted: isDeleted, status }) => {
    const line = kind === "system" ? text : `${sender.first_name || sender.username}: ${isDeleted ? "(deleted)" : text}`;
    return element("li", line, kind === "system" ? "system" : status === "rejected" ? "failed" : "");
  }));
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
  chat.send(event.target.text.value).catch(() => {}); // the list shows what was rejected
  event.target.reset();
};
showUser().catch(() => {}); // nobody is signed in
