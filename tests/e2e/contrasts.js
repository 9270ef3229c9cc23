// Finds the visible texts, placeholders and icons whose contrast with what is behind them is below `least` (WCAG 2.2).
(least) => {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = ({ rgb, a }, behind) => rgb.map((value, index) => value * a + behind[index] * (1 - a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const chain = (element) => (element ? [...chain(element.parentElement), element] : []);
  const backgroundOf = (element) =>
    chain(element).reduce((behind, each) => over(parse(getComputedStyle(each).backgroundColor), behind), [255, 255, 255]);
  const opacityOf = (element) => chain(element).reduce((product, each) => product * Number(getComputedStyle(each).opacity), 1);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getBoundingClientRect().height > 0;
  const open = document.querySelector("dialog[open]"); // what is behind an open dialog cannot be read, nor need it be
  const low = [];
  const judge = (element, style, text, opacity = 1) => {
    const behind = backgroundOf(element);
    const color = parse(style.color);
    const seen = over({ rgb: color.rgb, a: color.a * opacityOf(element) * opacity }, behind);
    const found = contrast(seen, behind);
    if (found < least) low.push(`${found.toFixed(2)}: ${element.tagName} ${element.className || element.id} "${text.trim().slice(0, 30)}"`);
  };
  for (const element of (open ?? document.body).querySelectorAll("*")) {
    if (!isShown(element)) continue;
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("");
    const isIcon = element.tagName === "svg" && getComputedStyle(element).stroke !== "none";
    if (text.trim() || element.value || isIcon) judge(element, getComputedStyle(element), text || element.value || "icon");
    const placeholder = getComputedStyle(element, "::placeholder");
    if (element.placeholder && !element.value) judge(element, placeholder, element.placeholder, Number(placeholder.opacity));
  }
  return low;
}
