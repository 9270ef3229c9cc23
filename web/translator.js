/**
 * Texts in the language of the reader. Sentences are written in English, as keys of a table with the Russian ones; values
 * are inserted for `{name}`. Where a number decides the form, there are several, by Intl.PluralRules. A sentence that the
 * table lacks stays English, as do those that the server sends.
 */

const ATTRIBUTES = ["aria-label", "placeholder", "title"];

/** "en" or "ru", by the languages of the browser. */
export const language = (globalThis.navigator?.languages ?? []).find((tag) => /^(en|ru)\b/i.test(tag))?.slice(0, 2).toLowerCase() ?? "en";

/** The browser's own variant of it, such as en-GB; undefined if it has none. */
export const locale = (globalThis.navigator?.languages ?? []).find((tag) => tag.toLowerCase().startsWith(language));

const plurals = new Intl.PluralRules(language);

/**
 * The functions `t` and `translate` of a table: `russian` has a sentence, or its forms, for each English one; `singular`
 * the English form for one, where it differs.
 */
export function translator(russian, singular) {
  /** The sentence in the language of the page; `count` chooses the form. */
  function t(sentence, values = {}, count = values.count) {
    const form = count === undefined ? "other" : plurals.select(count);
    let text = form === "one" ? (singular[sentence] ?? sentence) : sentence;
    if (language === "ru" && Object.hasOwn(russian, sentence)) {
      const found = russian[sentence];
      text = typeof found === "string" ? found : (found[form] ?? found.other);
    }
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  /** Translates the texts of a document or template as it is in the HTML file, and says which language that is. */
  function translate(root) {
    if (root === globalThis.document) root.documentElement.lang = language;
    if (language === "en") return;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { data } = walker.currentNode;
      const words = data.trim().replace(/^· /, "").replace(/ ·$/, "");
      if (words && Object.hasOwn(russian, words)) walker.currentNode.data = data.replace(words, t(words));
    }
    for (const name of ATTRIBUTES) {
      for (const element of root.querySelectorAll(`[${name}]`)) element.setAttribute(name, t(element.getAttribute(name)));
    }
    for (const template of root.querySelectorAll("template")) translate(template.content);
  }

  return { t, translate };
}
