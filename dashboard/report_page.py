"""The frame of a report: style, scripts, and how charts are put into a page that asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from dashboard.picture import Picture
from dashboard.words import t

# Nothing may be fetched, whatever a text in the page says.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1a1c20; --muted: #5f6470; --grid: #e3e5ea; --mark: #f4f5f8 }
@media (prefers-color-scheme: dark) {
  :root { --page: #14161a; --text: #eceef2; --muted: #a3a9b5; --grid: #343842; --mark: #1e2127 }
}
body { background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 76rem; padding: 0 1rem }
h1, h2, h3 { line-height: 1.25 }
table { border-collapse: collapse; font-size: .875rem }
th, td { border-bottom: 1px solid var(--grid); padding: .3rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: break-word }
td.words { min-width: 11rem }
td.figure { font-variant-numeric: tabular-nums; white-space: nowrap }
td small, .muted { color: var(--muted) }
thead th { background: var(--mark) }
.wide { overflow-x: auto }
.faded { opacity: .6 }
.apart { font-style: italic }
pre { background: var(--mark); overflow-wrap: anywhere; padding: .6rem; white-space: pre-wrap }
@media print {
  :root { color-scheme: light; --page: #ffffff; --text: #000000; --muted: #444444; --grid: #cccccc; --mark: #ffffff }
  @page { size: A4 landscape; margin: 12mm }
  body { font-size: 10pt; margin: 0; max-width: none; padding: 0 }
  table { font-size: 7pt }
  th, td { overflow-wrap: anywhere; padding: 2px 3px }
  td.words { min-width: 0 }
  td.figure { white-space: normal }
  .wide { overflow: visible }
  figure, tr, pre { break-inside: avoid }
  h2, h3 { break-after: avoid }
  .modebar { display: none }
}
figure { margin: 1rem 0 }
"""
SCRIPT = """
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const options = {displaylogo: false, responsive: true, plotlyServerURL: ""};
const light = {"--page": "#ffffff", "--text": "#000000", "--muted": "#444444", "--grid": "#cccccc"};
let printing = false;
function coloured(part, style) {
  if (typeof part === "string") {
    return part in light ? (printing ? light[part] : style.getPropertyValue(part).trim()) : part;
  }
  if (Array.isArray(part)) return part.map(one => coloured(one, style));
  if (part && typeof part === "object") {
    return Object.fromEntries(Object.entries(part).map(([name, one]) => [name, coloured(one, style)]));
  }
  return part;
}
function draw() {
  const style = getComputedStyle(document.documentElement);
  pictures.forEach((picture, i) => {
    const {data, layout} = coloured(picture, style);
    Plotly.react("picture-" + i, data, layout, options);
  });
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("beforeprint", () => { printing = true; draw(); });
addEventListener("afterprint", () => { printing = false; draw(); });
"""


def framed(title: str, body: str, pictures: Sequence[Picture]) -> str:
    """A whole page.

    title, body    HTML, escaped already; the body holds a `place` for each picture
    """
    plain = json.dumps([one.to_dict() for one in pictures], allow_nan=False)
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n"
        f'<script type="application/json" id="pictures">{_inert(plain)}</script>\n'
        f"<script>{_library()}</script>\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


def place(number: int, said: str) -> str:
    """Where the picture of that number is drawn.

    said    the picture in words, escaped
    """
    missing = t("The chart needs scripts; its numbers stand in the tables.")
    return (
        f'<figure><div id="picture-{number}" role="img" aria-label="{said}"></div>'
        f"<noscript>{missing}</noscript></figure>"
    )


def _inert(plain: str) -> str:
    """JSON in which no tag can begin or end."""
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _library() -> str:
    """Plotly's bundle, with nothing in it that ends a script."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")
