/** What the types must allow, and what they must not. Compiled by a test, never run. */

import { Client, Rejected, type Chat, type Message } from "../../../clients/js/index.js";

const client = new Client("https://chat.example.com", { token: async (why) => (why === "connect" ? "a" : "b") });

const chat: Chat = client.chat(2001);
const keyed: Chat = await client.chat("order-7");
const release: () => void = chat.open();
chat.on("event", (frame) => frame.type === "message" && console.log(frame.data.text));
chat.on("change", ({ messages }) => messages.map(({ text, status }: Message) => `${text} ${status}`));
const { message_id: id } = await chat.send("Hello", { data: { order: 7 }, mentions: [1] });
await keyed.react(id, "👍", { remove: true });
await client.command("react", { chat_id: 2001, message_id: id, key: "👍" });
await client.call<{ id: number }>("POST", "/api/v1/chats", { kind: "group" }).then((made) => made.id.toFixed());
const unread: number = client.chats.items.reduce((sum, item) => sum + item.unread, 0);
client.on("direct", (data: unknown) => console.log(data, unread, release));
try {
  await chat.edit(id, "Hi");
} catch (error) {
  if (error instanceof Rejected) console.log(error.code.length, error.status);
}

// @ts-expect-error: a misspelt key
chat.send("Hello", { replyto: 3 });
// @ts-expect-error: no such event
client.on("messages", () => {});
// @ts-expect-error: messages are replaced, not changed
chat.messages.push();
// @ts-expect-error: a command without its fields
client.command("react", { chat_id: 2001 });
// @ts-expect-error: only a promise of a chat is there for a key
client.chat("order-7").open();
