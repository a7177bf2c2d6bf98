/** A row of figures that outlives the reruns of the script, and follows a slider while it is dragged. */
import { following } from "./follow.js";

const plain = (value, digits) => value.toFixed(digits);

/** Three digits, as Python's format code "3g" has them. */
const short = (value) => String(Number(value.toPrecision(3)));

/** A number with its unit, as the page's own sentences have it. */
export function quantity(value, unit) {
  if (unit === "bytes") return value >= 1e6 ? `${plain(value / 1e6, 2)} MB` : `${plain(value / 1e3, 1)} kB`;
  if (unit === "ms") return value < 999.5 ? `${short(value)} ms` : `${short(value / 1000)} s`;
  if (unit === "fraction") return `${plain(100 * value, 1)} %`;
  if (unit === "multiply-adds") return value >= 1e6 ? `${plain(value / 1e6, 2)} M` : `${plain(value / 1e3, 1)} k`;
  if (unit === "parameters") return Math.round(value).toLocaleString("en-US");
  return `${Number(value.toPrecision(4))} ${unit.replace(/^R²/, "")}`.trim();
}

function element(tag, name, parent) {
  const made = document.createElement(tag);
  made.className = name;
  parent.appendChild(made);
  return made;
}

class Card {
  constructor(parent) {
    this.node = element("div", "live-figure", parent);
    this.node.setAttribute("role", "group");
    this.label = element("div", "live-figure-label", this.node);
    this.value = element("div", "live-figure-value", this.node);
    this.delta = element("div", "live-figure-delta", this.node);
    this.note = element("div", "live-figure-note", this.node);
    this.help = element("div", "live-figure-help", this.node);
    this.help.setAttribute("role", "tooltip");
    this.node.tabIndex = 0;
  }

  update(data, words) {
    this.data = data;
    this.words = words;
    this.node.dataset.name = data.name;
    this.node.setAttribute("aria-label", data.label);
    this.label.textContent = data.label;
    this.help.textContent = data.help;
    this.draw();
  }

  /** The measured figure, or what a slider that is dragged makes of it. */
  draw(point = null) {
    const { name, unit, value, delta, tone, arrow, note, open } = this.data;
    const known = point?.figures[name];
    const follows = known !== undefined && unit !== "";
    // what the server says of a point that it measures just now is better than a line between two others
    const streaming = open && !["…", "–"].includes(value) && !following.moving;
    this.node.classList.toggle("live-figure-between", follows && !streaming && Boolean(point.guess));
    if (follows && !streaming) {
      this.value.textContent = `${point.guess ? "≈ " : ""}${quantity(known, unit)}`;
      this.delta.textContent = "";
      this.note.textContent = this.words[point.guess] ?? "";
      return;
    }
    const sign = { up: "↑ ", down: "↓ " }[arrow] ?? "";
    this.value.textContent = value;
    this.delta.textContent = delta ? sign + delta : "";
    this.delta.dataset.tone = tone;
    this.note.textContent = note;
  }
}

export class Figures {
  constructor(parent) {
    this.node = element("div", "live-figures", parent);
    this.cards = [];
    this.unsubscribe = following.subscribe((point) => this.cards.forEach((card) => card.draw(point)));
  }

  update({ data: { cards, words } }) {
    while (this.cards.length > cards.length) this.cards.pop().node.remove();
    while (this.cards.length < cards.length) this.cards.push(new Card(this.node));
    cards.forEach((card, i) => this.cards[i].update(card, words));
    if (following.shown) this.cards.forEach((card) => card.draw(following.shown));
  }

  dispose() {
    this.unsubscribe();
    this.node.remove();
  }
}
