// emitter.mjs REDIS_URL BYTES: for each number on stdin, emits so many messages to the room.
import { createInterface } from "node:readline";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";

const [url, bytes] = process.argv.slice(2);
const client = createClient({ url });
await client.connect();
const emitter = new Emitter(client);
const text = "x".repeat(Number(bytes) - 15);

for await (const line of createInterface({ input: process.stdin })) {
  for (let i = 0; i < Number(line); i++) emitter.to("room").emit("message", text);
}
process.exit(0);
