/** The page's theme in Plotly's terms. Streamlit gives it as --st-* variables on an element around the chart. */

const known = new Map(); // CSS colour -> its channels: asking makes the browser work out the page's styles anew

/** [red, green, blue, alpha] of any CSS colour, as the browser understands it. */
function channels(node, color) {
  if (!known.has(color)) {
    node.style.color = color;
    const [red, green, blue, alpha = 1] = getComputedStyle(node).color.match(/[\d.]+/g).map(Number);
    node.style.color = "";
    known.set(color, [red, green, blue, alpha]);
  }
  return known.get(color);
}

/** Mix two opaque colours; a transparent grey would let the curves behind it shine through. */
function mix(over, under, share) {
  const part = (index) => Math.round(over[index] * share + under[index] * (1 - share));
  return `rgb(${part(0)},${part(1)},${part(2)})`;
}

/** A function from a name ("text", "muted", "grid", or any --st-…-color) and an opacity to a colour. */
export function readColors(node) {
  const style = getComputedStyle(node);
  const variable = (name) =>
    style.getPropertyValue(`--st-${name}`).trim() || style.getPropertyValue(`--st-${name}-color`).trim();
  const text = channels(node, variable("text"));
  const background = channels(node, variable("background"));
  const blends = { muted: 0.72, border: 0.3, grid: 0.12 };
  return (name, opacity = 1) => {
    const color = name in blends ? mix(text, background, blends[name]) : variable(name) || variable("text");
    const [red, green, blue, alpha] = channels(node, color);
    return `rgba(${red},${green},${blue},${alpha * opacity})`;
  };
}

/** Replace "st:text" or "var(--st-text, 0.2)", wherever it is a whole string of the figure's JSON. */
export function fillColors(json, color) {
  const placeholder = /"(?:st:|var\(\s*--st-)([a-z-]+)\s*(?:[,/]\s*([\d.]+)\s*)?\)?"/g;
  return json.replace(placeholder, (_, name, opacity) => `"${color(name, Number(opacity ?? 1))}"`);
}

/** What a template may still decide. */
const DEFAULTS = {
  font: { size: 13 },
  margin: { l: 8, r: 8, t: 40, b: 8 },
  title: { x: 0, xanchor: "left" }, // in the middle it would lie under the buttons of a narrow chart
  xaxis: { automargin: true, spikethickness: 1 },
  yaxis: { automargin: true, spikethickness: 1 },
};

/** What the theme decides over any template; only a figure's own layout stands above it. */
function themeLayout(node, color) {
  const family = getComputedStyle(node).getPropertyValue("--st-font").trim();
  const [text, muted, border, grid] = ["text", "muted", "border", "grid"].map((name) => color(name));
  const clear = "rgba(0,0,0,0)";
  const axis = {
    color: text,
    gridcolor: grid,
    linecolor: border,
    spikecolor: muted,
    tickcolor: border,
    tickfont: { color: muted },
    zerolinecolor: border,
  };
  const colorbar = { outlinewidth: 0, tickcolor: border, tickfont: { color: muted } };
  const palette = getComputedStyle(node).getPropertyValue("--st-chart-categorical-colors").trim();
  return {
    font: { family, color: text },
    title: { font: { color: text } },
    paper_bgcolor: clear,
    plot_bgcolor: clear,
    colorway: palette ? palette.split(/,(?![^(]*\))/) : undefined,
    xaxis: axis,
    yaxis: axis,
    coloraxis: { colorbar },
    legend: { bgcolor: clear, font: { color: text } },
    hoverlabel: { bgcolor: color("background"), bordercolor: border, font: { family, color: text } },
    annotationdefaults: { font: { color: text }, arrowcolor: muted },
    shapedefaults: { line: { color: muted } },
    modebar: { bgcolor: clear, color: muted, activecolor: text },
  };
}

function merge(under, over) {
  const plain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (!plain(under) || !plain(over)) return over ?? under;
  const keys = new Set([...Object.keys(under), ...Object.keys(over)]);
  return Object.fromEntries([...keys].map((key) => [key, merge(under[key], over[key])]));
}

/** Parse the figure anew, for Plotly writes into what it draws, and lay the theme between template and layout. */
export function themedFigure(node, json) {
  const color = readColors(node);
  const { data, layout = {} } = JSON.parse(fillColors(json, color));
  const template = layout.template ?? {};
  layout.template = { ...template, layout: merge(merge(DEFAULTS, template.layout ?? {}), themeLayout(node, color)) };
  return { data, layout };
}
