// Receives webhooks: verifies the signature and handles each event once. Run: CHAT_SECRET=… node receiver.mjs 8080
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const seen = new Set(); // keep the ids where you keep what the events change, in one transaction

function isSigned(header, body) {
  const [, at, given] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header ?? "") ?? [];
  if (!at || Math.abs(Date.now() / 1000 - at) > 300) return false;
  const expected = createHmac("sha256", process.env.CHAT_SECRET).update(`${at}.`).update(body).digest();
  return timingSafeEqual(Buffer.from(given, "hex"), expected);
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  if (request.method !== "POST" || !isSigned(request.headers["x-chat-signature"], body)) {
    response.writeHead(401).end();
    return;
  }
  for (const event of JSON.parse(body).events) {
    if (seen.has(event.id)) continue;
    console.log(event.type, event.id, event.data.text);
    seen.add(event.id);
  }
  response.writeHead(204).end(); // the gateway sends until it gets this
}).listen(Number(process.argv[2]), "127.0.0.1");
