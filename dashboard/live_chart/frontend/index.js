/**
 * Draws Plotly figures, and figures in words, in nodes that outlive the reruns of the script.
 *
 * Streamlit calls the default export again, with the same parentElement, whenever data or theme have changed.
 */
import { Figures } from "./figures.js";
import { following } from "./follow.js";
import { Marker, Weights } from "./preview.js";
import { readColors, themedFigure } from "./theme.js";

const charts = new WeakMap(); // parentElement -> Chart or Figures
const FOLLOWS = "curve"; // the chart that brings the curve along which all go
const libraries = new Map(); // file -> promise of Plotly

/** Load Plotly once for all charts of the page. */
function loadPlotly(file) {
  if (!libraries.has(file)) {
    // As a module the script sees neither `module` nor `define`, and leaves itself on the window.
    const loading = import(new URL(file, import.meta.url).href).then(() => window.Plotly);
    loading.catch(() => libraries.delete(file)); // so that the next drawing tries again
    libraries.set(file, loading);
  }
  return libraries.get(file);
}

const sizeOf = (values) => values?.length ?? 0;

/** How many points a drawn trace has; a heat map counts its cells. */
function countPoints({ visible, x, y, z, values, locations }) {
  if (visible !== true) return 0;
  if (z?.[0]?.length !== undefined) return [...z].reduce((sum, row) => sum + row.length, 0);
  return Math.max(...[x, y, z, values, locations].map(sizeOf));
}

const PATIENCE_MS = 100; // a page in the background paints nothing

/** Once the browser has painted what stands in line. */
function painted() {
  const frame = new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return Promise.race([frame, new Promise((done) => setTimeout(done, PATIENCE_MS))]);
}

/** A point as Python gets it; typed arrays would become objects in JSON. */
function describe({ customdata, data, x, y }) {
  const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
  return { customdata: plain(customdata), trace: data.name ?? "", x: plain(x) ?? null, y: plain(y) ?? null };
}

const pickable = (points) => points?.find(({ customdata }) => customdata !== undefined && customdata !== null);

class Chart {
  constructor(parent) {
    this.node = document.createElement("div");
    this.node.className = "live-chart";
    this.node.dataset.drawn = 0;
    parent.appendChild(this.node);
    this.resizes = new ResizeObserver(() => this.fit());
    this.marker = new Marker(this.node);
    this.weights = new Weights(this.node);
    this.unsubscribe = following.subscribe((point) => this.preview(point));
  }

  /** What a slider that is dragged makes of this chart; null ends it. */
  preview(point) {
    if (!this.Plotly || !this.node._fullData) return;
    if (this.name === FOLLOWS) this.marker.draw(point);
    this.after(this.weights.draw(point, this.Plotly));
  }

  /** Remember a drawing that goes on by itself: a node that is cleared under it would make it fail. */
  after(drawing) {
    this.latest = Promise.allSettled([this.latest, drawing]);
  }

  /** Draw what was asked for last; what was asked for while a drawing ran is skipped but for the last. */
  update({ data, setTriggerValue }) {
    this.wanted = data;
    this.send = setTriggerValue; // each call brings its own, bound to the fragment of its run
    this.drawing ??= this.drawWanted().finally(() => {
      this.drawing = null;
    });
    return this.drawing;
  }

  async drawWanted() {
    while (this.wanted) {
      const data = this.wanted;
      this.wanted = null;
      await this.draw(data);
    }
  }

  async draw({ figure, library, name, height, alt, follow }) {
    const { node } = this;
    this.Plotly = await loadPlotly(library);
    if (name !== FOLLOWS && this.listening) await painted(); // the curve first: it is what the reader looks at
    if (!node.isConnected) return; // taken away meanwhile
    this.name = name;
    node.style.height = `${height}px`;
    this.describeNode(alt);
    const { data, layout } = themedFigure(node, figure);
    const { width: _, ...rest } = layout; // the container has the say
    // Plotly keeps what the user did (zoom, hidden traces) as long as this value stays.
    const kept = { uirevision: "kept", ...rest, autosize: true, height };
    this.config ??= this.makeConfig(); // a config with new functions in it would make Plotly start afresh
    this.weights.keep(data);
    await this.Plotly.react(node, data, kept, this.config);
    if (name === FOLLOWS) following.follow(follow);
    this.preview(following.shown);
    if (!this.listening) this.listen();
    node.dataset.points = node._fullData.reduce((sum, trace) => sum + countPoints(trace), 0);
    node.dataset.drawn = Number(node.dataset.drawn) + 1;
  }

  describeNode(alt) {
    if (alt) {
      this.node.setAttribute("role", "img");
      this.node.setAttribute("aria-label", alt);
    } else {
      this.node.removeAttribute("role");
      this.node.removeAttribute("aria-label");
    }
  }

  makeConfig() {
    const title = "Download image";
    const download = { name: "download", title, icon: this.Plotly.Icons.camera, click: () => this.download() };
    return {
      displaylogo: false,
      displayModeBar: "hover",
      doubleClick: "reset",
      modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"], [download]],
    };
  }

  /** As seen, but on the page's background: light text on a transparent picture is unreadable elsewhere. */
  download() {
    const { data, layout, clientWidth: width, clientHeight: height } = this.node;
    const opaque = { ...layout, paper_bgcolor: readColors(this.node)("background") };
    const filename = `secateur-${this.name}`.replace(/[^\p{L}\p{N}]+/gu, "-");
    this.Plotly.downloadImage({ data, layout: opaque }, { format: "png", scale: 2, width, height, filename });
  }

  /** Only a node that Plotly has drawn in has `on`. */
  listen() {
    const { node } = this;
    this.listening = true;
    node.on("plotly_click", ({ points }) => {
      const point = pickable(points);
      if (point) this.send("picked", describe(point));
    });
    node.on("plotly_hover", ({ points }) => {
      node.classList.toggle("live-chart-pickable", Boolean(pickable(points)));
    });
    node.on("plotly_unhover", () => node.classList.remove("live-chart-pickable"));
    this.resizes.observe(node);
  }

  /** A chart in a closed tab has no size, and Plotly refuses to fit it. */
  fit() {
    const { node } = this;
    const other = node.clientWidth > 0 && node.clientWidth !== node._fullLayout?.width;
    if (other) this.after(this.Plotly.Plots.resize(node));
  }

  dispose() {
    this.unsubscribe();
    if (this.name === FOLLOWS) following.follow(null);
    this.resizes.disconnect();
    this.node.remove();
    Promise.allSettled([this.drawing, this.latest]).then(() => this.Plotly?.purge(this.node));
  }
}

export default async function render(component) {
  const { parentElement } = component;
  const Kind = component.data.cards ? Figures : Chart;
  if (!charts.has(parentElement)) charts.set(parentElement, new Kind(parentElement));
  const chart = charts.get(parentElement);
  await chart.update(component);
  return () => {
    // Streamlit also cleans up after a drawing that newer data have overtaken; then the chart stays.
    if (parentElement.isConnected || charts.get(parentElement) !== chart) return;
    charts.delete(parentElement);
    chart.dispose();
  };
}
