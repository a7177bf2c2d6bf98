/**
 * Follows a slider while it is dragged: reads where its thumb stands, and tells charts and figures what the measured
 * curve says there. Nothing is sent to the server. Where no slider is found, nothing follows, and all is as without.
 */

/** Streamlit's own rule from a widget's key to the class of the element around it. */
const classOf = (key) => `.st-key-${key.trim().replace(/[^a-zA-Z0-9_-]/g, "-")}`;

const mix = (a, b, share) => a + (b - a) * share;

/** Two lists of the same length, number by number; of different lengths the nearer one. */
function mixAll(a, b, share) {
  if (a.length === b.length) return a.map((value, i) => mix(value, b[i], share));
  return share < 0.5 ? a : b;
}

/** Only what both ends know is known in between. */
function mixFigures(a, b, share) {
  const names = Object.keys(a).filter((name) => name in b);
  return Object.fromEntries(names.map((name) => [name, mix(a[name], b[name], share)]));
}

/** The stops on either side of a position, and where it lies between them; beyond the last, that one twice. */
function around(stops, at) {
  const exact = stops.find((stop) => Math.abs(stop.at - at) < 1e-9);
  if (exact) return { a: exact, b: exact, share: 0, guess: "" };
  const after = stops.findIndex((stop) => stop.at > at);
  if (after < 1) return { a: stops.at(after), b: stops.at(after), share: 0, guess: "beyond" };
  const [a, b] = [stops[after - 1], stops[after]];
  return { a, b, share: (at - a.at) / (b.at - a.at), guess: "between" };
}

/** The histogram there, of the stops that have one: those of the curve. */
function histogram(stops, at) {
  const seen = stops.filter(({ after }) => after.length);
  if (!seen.length) return { edges: [], after: [], pale: false };
  const { a, b, share, guess } = around(seen, at);
  return { edges: mixAll(a.edges, b.edges, share), after: mixAll(a.after, b.after, share), pale: guess !== "" };
}

/**
 * What was measured at a position or, between two stops, what lies on the straight line; beyond the last as there. Then
 * `guess` is "between" or "beyond", else nothing.
 */
export function sample(stops, at) {
  const { a, b, share, guess } = around(stops, at);
  const place = { at, x: mix(a.x, b.x, share), y: mix(a.y, b.y, share), guess };
  return { ...place, figures: mixFigures(a.figures, b.figures, share), histogram: histogram(stops, at) };
}

class Following {
  constructor() {
    this.table = null;
    this.shown = null; // what is drawn in place of the last measured point
    this.listeners = new Set();
    this.steps = 0;
    this.observer = new MutationObserver(() => this.look());
    this.onInput = () => this.look();
  }

  /** Be told of every step; the function given back ends it. */
  subscribe(listener) {
    this.listeners.add(listener);
    if (this.shown) listener(this.shown);
    return () => this.listeners.delete(listener);
  }

  /** Take the newest curve; what is on the screen goes on, or ends where it has been measured by now. */
  follow(table) {
    if (table?.slider !== this.table?.slider) this.show(null);
    this.table = table;
    this.attach();
    this.look();
  }

  /** The slider's node may be a new one after any run of the script. */
  attach() {
    const box = this.table && document.querySelector(classOf(this.table.slider));
    if (box === this.box) return;
    this.observer.disconnect();
    this.box?.removeEventListener("input", this.onInput);
    this.box = box;
    if (!box) return;
    const attributeFilter = ["value", "aria-valuetext", "aria-valuenow"];
    this.observer.observe(box, { subtree: true, childList: true, attributes: true, attributeFilter });
    box.addEventListener("input", this.onInput);
  }

  position() {
    const input = this.box?.isConnected ? this.box.querySelector("input[type=range]") : null;
    const at = input ? Number.parseFloat(input.value) : Number.NaN;
    return Number.isFinite(at) ? at : null;
  }

  /** Whether the thumb stands elsewhere than for the recipe that the server knows of. */
  get moving() {
    const at = this.position();
    return this.table !== null && at !== null && Math.abs(at - this.table.at) > 1e-9;
  }

  look() {
    try {
      const at = this.position();
      const here = this.table && at !== null && Math.abs(at - this.table.at) < 1e-9;
      if (!this.table || at === null || (here && this.table.measured)) return this.show(null);
      if (this.shown?.at === at && this.drawnFrom === this.table) return undefined;
      this.drawnFrom = this.table;
      return this.show(sample(this.table.stops, at));
    } catch (error) {
      console.warn("Secateur: the slider cannot be followed; all is updated when it is released.", error);
      this.observer.disconnect();
      return this.show(null);
    }
  }

  show(point) {
    if (!point && !this.shown) return;
    this.shown = point;
    if (point) this.steps += 1;
    document.documentElement.dataset.followed = this.steps; // for whoever counts
    for (const listener of this.listeners) listener(point);
  }
}

export const following = new Following();
