/** The reactions under a message: a button for each, which adds or removes the user's own, and a picker of common ones. */

import { t } from "./words.js";

/** What the picker offers, with the names that a screen reader says. */
const COMMON = {
  "👍": "Thumbs up",
  "❤️": "Heart",
  "😂": "Laughing",
  "🎉": "Party",
  "😮": "Surprised",
  "😢": "Sad",
};

/** Makes `list` show the reactions of a message; a button that stays is kept, and with it the focus. */
export function paintReactions(list, { reactions = {}, own_reactions: ownReactions = [] }) {
  const kept = new Map([...list.children].map((item) => [item.firstElementChild.dataset.key, item]));
  const items = Object.entries(reactions).map(([key, count]) => {
    const item = kept.get(key) ?? newItem(key);
    kept.delete(key);
    const isOwn = ownReactions.includes(key);
    const button = item.firstElementChild;
    button.textContent = `${key} ${count}`;
    button.setAttribute("aria-pressed", isOwn);
    button.setAttribute("aria-label", `${nameOf(key)}, ${count}`);
    return item;
  });
  for (const item of kept.values()) item.remove();
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}

/** The reactions of a message as a screen reader says them. */
export function namesOfReactions({ reactions = {} }) {
  return Object.entries(reactions).map(([key, count]) => `${nameOf(key)} ${count}`);
}

function nameOf(key) {
  return Object.hasOwn(COMMON, key) ? t(COMMON[key]) : key;
}

function newItem(key) {
  const item = document.createElement("li");
  item.append(newButton("reaction", key));
  return item;
}

function newButton(className, key) {
  const button = Object.assign(document.createElement("button"), { className, type: "button", dir: "auto", textContent: key });
  button.dataset.key = key;
  return button;
}

/** A toolbar that moves to the message to react to. Arrows move within it; Escape returns to the message. */
export class ReactionPicker {
  #element;
  #onPick;

  /** `onPick(row, key)` is called with the row of the message. */
  constructor(element, onPick) {
    this.#element = element;
    this.#onPick = onPick;
    for (const [key, name] of Object.entries(COMMON)) {
      const button = newButton("pick", key);
      button.setAttribute("aria-label", t(name));
      button.addEventListener("click", () => this.#pick(key));
      element.append(button);
    }
    element.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("click", (event) => event.target.closest(".picker, .act-react") || this.#close());
  }

  /** Opens the picker in `row`, or closes it if it is open there. */
  toggle(row) {
    const isOpen = !this.#element.hidden && this.#element.parentElement === row;
    if (isOpen) return this.#close();
    row.append(this.#element);
    this.#element.hidden = false;
    this.#element.firstElementChild.focus();
  }

  #pick(key) {
    const row = this.#element.parentElement;
    this.#close();
    row.focus();
    this.#onPick(row, key);
  }

  #close() {
    this.#element.hidden = true;
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") {
      const row = this.#element.parentElement;
      this.#close();
      row.focus();
    } else if (step) {
      const buttons = [...this.#element.children];
      buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation(); // the log has other uses for these keys
  }
}
