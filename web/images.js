/**
 * The images that a text links to, below it. Only those of the origins that the operator allows (PAGE_IMAGE_SOURCES, which
 * is in the page's policy too) are loaded, by the reader's browser and without a referrer; the others stay links.
 */

import { t } from "./words.js";

const MOST = 4; // of one message
const EXTENSION = /\.(?:avif|gif|jpe?g|png|webp)$/i;
const sources = globalThis.document?.querySelector("meta[name=image-sources]")?.content.split(" ").filter(Boolean) ?? [];

/** The URLs of the images that `pieces` of a text link to, each once; `allowed` are origins, or `https:`. */
export function imagesIn(pieces, allowed) {
  const urls = pieces.filter(({ href }) => href).map(({ href }) => new URL(href));
  const isAllowed = ({ origin, protocol }) => allowed.includes(origin) || allowed.includes(protocol);
  const found = urls.filter((url) => EXTENSION.test(url.pathname) && isAllowed(url)).map(({ href }) => href);
  return [...new Set(found)].slice(0, MOST);
}

/** Makes `box` show the images; each has a box of a fixed size from the beginning, so that nothing moves when it comes. */
export function paintImages(box, pieces) {
  const urls = sources.length === 0 ? [] : imagesIn(pieces, sources).filter(isStill);
  box.hidden = urls.length === 0;
  const present = [...box.children].map(({ href }) => href);
  if (String(urls) !== String(present)) box.replaceChildren(...urls.map(imageLink));
}

/** Whether the image may be shown to somebody who wants no motion. */
function isStill(url) {
  return !/\.gif$/i.test(new URL(url).pathname) || !matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function imageLink(href) {
  const link = document.createElement("a");
  Object.assign(link, { className: "image", href, target: "_blank", rel: "noopener noreferrer nofollow" });
  const name = fileNameOf(href);
  const image = document.createElement("img");
  Object.assign(image, { referrerPolicy: "no-referrer", loading: "lazy", decoding: "async", alt: t("Image {name}", { name }) });
  image.addEventListener("error", () => {
    const words = document.createElement("span");
    words.textContent = t("The image {name} cannot be shown", { name });
    image.replaceWith(words);
  });
  image.src = href; // last: the other properties say how it is loaded
  link.append(image);
  return link;
}

function fileNameOf(href) {
  const name = new URL(href).pathname.split("/").at(-1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // not UTF-8
  }
}
