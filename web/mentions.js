/** Mentions: `@login` in a text names a member; while one is written, a list of members completes it. */

import { nameOf } from "./names.js";

const SHOWN = 6;
const MENTION = /(?<=^|[\s([{"'«“])@([^\s@]{1,64})/g;
const UNFINISHED = /(?:^|\s)@([^\s@]{0,64})$/;
const TRAILING = /[.,;:!?)\]}'"»”…]+$/;

/** The ids of those `members` whom the text mentions. */
export function mentionsIn(text, members) {
  const ids = new Map(members.map(({ username, user_id: id }) => [username.toLowerCase(), id]));
  const found = [...text.matchAll(MENTION)].map(([, name]) => ids.get(name.toLowerCase()) ?? ids.get(name.replace(TRAILING, "").toLowerCase()));
  return [...new Set(found.filter((id) => id !== undefined))];
}

/** The list of members that completes `input`; it is a combobox in the words of ARIA. */
export class MentionList {
  #input;
  #list;
  #members;
  #chosen = 0;

  /** `members()` are those who can be mentioned. */
  constructor(input, list, members) {
    this.#input = input;
    this.#list = list;
    this.#members = members;
    list.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the focus stays in the input
      const item = event.target.closest("li");
      if (item) this.#insert(item);
    });
    input.addEventListener("blur", () => this.close());
  }

  get isOpen() {
    return !this.#list.hidden;
  }

  close() {
    this.#list.hidden = true;
    this.#input.removeAttribute("aria-activedescendant");
  }

  /** Shows whom the text before the caret may mean. */
  update() {
    const started = this.#started();
    const wanted = started?.toLocaleLowerCase();
    const fits = (member) => [member.username, nameOf(member)].some((name) => name.toLocaleLowerCase().startsWith(wanted));
    const found = started === undefined ? [] : this.#members().filter(fits).slice(0, SHOWN);
    this.#list.replaceChildren(...found.map((member, index) => {
      const item = document.createElement("li");
      Object.assign(item, { id: `mention-${index}`, role: "option", textContent: nameOf(member), dir: "auto" });
      item.dataset.username = member.username;
      return item;
    }));
    this.#list.hidden = found.length === 0;
    if (this.isOpen) this.#choose(0);
    else this.close();
  }

  /** Whether the list has used the key. */
  takes(event) {
    if (!this.isOpen) return false;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) this.#choose((this.#chosen + step + this.#list.children.length) % this.#list.children.length);
    else if (event.key === "Enter" || event.key === "Tab") this.#insert(this.#list.children[this.#chosen]);
    else if (event.key === "Escape") this.close();
    else return false;
    return true;
  }

  #started() {
    return UNFINISHED.exec(this.#input.value.slice(0, this.#input.selectionStart))?.[1];
  }

  #choose(index) {
    this.#chosen = index;
    [...this.#list.children].forEach((item, place) => item.setAttribute("aria-selected", place === index));
    this.#input.setAttribute("aria-activedescendant", `mention-${index}`);
  }

  #insert(item) {
    const end = this.#input.selectionStart;
    const start = end - this.#started().length;
    this.#input.setRangeText(`${item.dataset.username} `, start, end, "end");
    this.close();
    this.#input.dispatchEvent(new Event("input"));
  }
}
