/**
 * Values that survive a reload of this window and end with it: a Web Storage over sessionStorage.
 *
 * Not localStorage: on a shared computer the texts of one person would stay readable for the next. If the browser has
 * no storage or no space for the page, the values last as long as the page.
 */

const memory = new Map();

export const kept = {
  getItem(key) {
    if (memory.has(key)) return memory.get(key);
    return attempt(() => sessionStorage.getItem(key));
  },

  setItem(key, value) {
    memory.set(key, value);
    attempt(() => sessionStorage.setItem(key, value));
  },

  removeItem(key) {
    memory.set(key, null);
    attempt(() => sessionStorage.removeItem(key));
  },
};

function attempt(use) {
  try {
    return use();
  } catch {
    return null; // blocked by the settings of the user, or full
  }
}
