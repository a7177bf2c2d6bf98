/** What a chart shows of a slider that is dragged: a lighter marker on the tradeoff chart, the histogram's second line. */

const indexOf = (node, meta) => node._fullData?.findIndex((trace) => trace.meta === meta && trace.visible === true) ?? -1;

/** A marker over the chart: moving it costs nothing, where Plotly takes some 20 ms to draw its own again. */
export class Marker {
  constructor(node) {
    this.node = node;
  }

  draw(point) {
    const { node } = this;
    const { xaxis, yaxis } = node._fullLayout ?? {};
    this.fade(point !== null);
    if (!point || !xaxis) {
      this.ghost?.remove();
      this.ghost = null;
      return;
    }
    if (!this.ghost?.isConnected) {
      this.ghost = document.createElement("div");
      this.ghost.className = "live-ghost";
      this.ghost.appendChild(document.createElement("span"));
      node.appendChild(this.ghost);
    }
    const left = xaxis._offset + xaxis.d2p(point.x);
    const top = yaxis._offset + yaxis.d2p(point.y);
    this.ghost.classList.toggle("live-ghost-measured", !point.guess);
    this.ghost.style.transform = `translate(${left}px, ${top}px)`;
    this.ghost.style.setProperty("--ghost", this.color());
    const shown = yaxis.tickformat?.endsWith("%") ? `${(100 * point.y).toFixed(1)} %` : point.y.toPrecision(3);
    this.ghost.firstChild.textContent = point.guess ? `≈ ${shown}` : shown;
    this.ghost.dataset.x = point.x;
    this.ghost.dataset.y = point.y;
    this.ghost.dataset.guess = point.guess;
  }

  color() {
    const trace = this.node._fullData.find(({ meta }) => meta === "here") ?? this.node._fullData.at(-1);
    return trace?.marker?.color ?? "currentColor";
  }

  /** The last measured place stays where it is, pale. */
  fade(pale) {
    const place = indexOf(this.node, "here");
    if (place < 0) return;
    const own = this.node.querySelector(`.scatterlayer .trace${this.node._fullData[place].uid}`);
    if (own) own.style.opacity = pale ? 0.25 : "";
  }
}

/** The line of the weights after the recipe. */
export class Weights {
  constructor(node) {
    this.node = node;
    this.moved = false;
  }

  draw(point, Plotly) {
    const place = indexOf(this.node, "weights");
    if (place < 0 || (!point && !this.moved)) return undefined;
    const known = point?.histogram.after.length ? point.histogram : null;
    const own = this.node.dataset.own ? JSON.parse(this.node.dataset.own) : null;
    if (!known && !own) return undefined;
    const x = known ? known.edges.slice(1).map((edge, i) => (edge + known.edges[i]) / 2) : own[0];
    const y = known ? known.after : own[1];
    this.moved = Boolean(known);
    return Plotly.restyle(this.node, { x: [x], y: [y], opacity: [known?.pale ? 0.6 : 1] }, [place]);
  }

  /** Remember what the server drew, to come back to it. */
  keep(data) {
    const own = data.find(({ meta }) => meta === "weights");
    this.moved = false;
    if (own) this.node.dataset.own = JSON.stringify([[...own.x], [...own.y]]);
    else delete this.node.dataset.own;
  }
}
