import assert from "node:assert/strict";
import { test } from "node:test";

import { ChatList } from "../../web/chat_list.js";

/** An API with chats of these ids, in pages of three. */
class FakeApi {
  ids;
  calls = [];
  failure = null;

  constructor(count) {
    this.ids = Array.from({ length: count }, (_, index) => index + 1);
  }

  async chats(cursor) {
    this.calls.push(cursor);
    if (this.failure) throw this.failure;
    await new Promise(setImmediate);
    const newest = this.ids.filter((id) => cursor === null || id < Number(cursor)).sort((one, other) => other - one);
    const chats = newest.slice(0, 3).map((id) => ({ id, call: this.calls.length }));
    return { chats, next: newest.length > 3 ? String(chats.at(-1).id) : null };
  }
}

const idsOf = (chats) => chats.map(({ id }) => id);

test("the first read has every page, oldest chat first", async () => {
  const api = new FakeApi(8);
  assert.deepEqual(idsOf(await new ChatList(api).read()), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(api.calls, [null, "6", "3"]);
  assert.deepEqual(await new ChatList(new FakeApi(0)).read(), []);
});

test("later reads take the newest page and one other in turn", async () => {
  const api = new FakeApi(8);
  const list = new ChatList(api);
  await list.read();
  api.calls = [];
  for (let turn = 0; turn < 4; turn += 1) await list.read();
  assert.deepEqual(api.calls, [null, "6", null, "3", null, "6", null, "3"]);
});

test("new and removed chats of any page are seen", async () => {
  const api = new FakeApi(8);
  const list = new ChatList(api);
  await list.read();
  api.ids = [2, 3, 4, 6, 7, 8, 9];
  assert.deepEqual(idsOf(await list.read()).slice(-4), [6, 7, 8, 9]);
  for (let turn = 0; turn < 3; turn += 1) await list.read();
  assert.deepEqual(idsOf(await list.read()), [2, 3, 4, 6, 7, 8, 9]);
  api.ids = [];
  assert.deepEqual(await list.read(), []);
});

test("a read during another one sees what was created before it", async () => {
  const api = new FakeApi(2);
  const list = new ChatList(api);
  const first = list.read();
  await new Promise(setImmediate);
  api.ids.push(3);
  const [second, third] = [list.read(), list.read()];
  assert.deepEqual(idsOf(await second), [1, 2, 3]);
  assert.equal(await third, await second);
  await first;
  assert.equal(api.calls.length, 2);
});

test("a failed read rejects, and the next one goes on", async () => {
  const api = new FakeApi(8);
  const list = new ChatList(api);
  api.failure = new Error("unreachable");
  await assert.rejects(list.read(), /unreachable/);
  api.failure = null;
  assert.equal((await list.read()).length, 8);
});

test("at most ten pages are listed", async () => {
  const api = new FakeApi(40);
  const list = new ChatList(api);
  assert.deepEqual(idsOf(await list.read())[0], 11);
  api.ids.push(41);
  for (let turn = 0; turn < 10; turn += 1) await list.read();
  assert.deepEqual([idsOf(await list.read())[0], (await list.read()).length], [12, 30]);
});
