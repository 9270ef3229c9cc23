/** A small plot of the last minute: one line, scaled to its own largest value. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 120;
const HEIGHT = 32;
const SAMPLES = 60;

export class Plot {
  #values = [];
  #line;
  #area;
  #number;
  #format;

  /** `format(value)` is the text beside the plot. */
  constructor(name, format) {
    this.#format = format;
    this.#line = shape("polyline", { class: "plot-line" });
    this.#area = shape("polygon", { class: "plot-area" });
    const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(this.#area, this.#line);
    this.#number = document.createElement("strong");
    const label = document.createElement("span");
    label.textContent = name;
    this.element = document.createElement("div");
    this.element.className = "plot";
    this.element.append(label, this.#number, svg);
  }

  /** Adds a sample; null is a second in which nothing was measured. */
  add(value) {
    this.#values.push(value);
    if (this.#values.length > SAMPLES) this.#values.shift();
    this.#number.textContent = value === null ? "–" : this.#format(value);
    const most = Math.max(1, ...this.#values.map((one) => one ?? 0));
    const points = this.#values.map((one, place) => {
      const x = WIDTH - (this.#values.length - 1 - place) * (WIDTH / (SAMPLES - 1));
      return `${x.toFixed(1)},${(HEIGHT - 1 - ((one ?? 0) / most) * (HEIGHT - 3)).toFixed(1)}`;
    });
    this.#line.setAttribute("points", points.join(" "));
    const left = points[0].split(",")[0];
    this.#area.setAttribute("points", [`${left},${HEIGHT}`, ...points, `${WIDTH},${HEIGHT}`].join(" "));
  }
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
