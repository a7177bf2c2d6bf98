"""A comparison as one HTML page that holds all it needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from dashboard.picture import Picture
from dashboard.report_charts import chart, kind_of_recipe, said, standing_in_words
from dashboard.report_page import framed, place
from dashboard.report_pairs import pairs
from dashboard.words import t, title
from engine import Comparison, Failed, InvalidInput, Point, Tradeoff, recipe_in_words, tradeoffs
from engine.comparing.table import named

AXES = ("parameters", "nonzero", "latency_ms", "size_bytes")


def write_report(path: Path, comparison: Comparison, failed: Sequence[Failed] = ()) -> None:
    """Write the page. Raises InvalidInput where the file cannot be written."""
    text = page(comparison, failed)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        key = "{file} must be a file that can be written: {why}"
        raise InvalidInput(key, file=named(path), why=error.strerror or error) from error


def page(comparison: Comparison, failed: Sequence[Failed] = ()) -> str:
    """The page: charts, all figures, each point beside the first, protocols, recipes. Every text in it is escaped."""
    points = comparison.points
    models = ", ".join(dict.fromkeys(point.model for point in points)) or t("nothing measured")
    pictures: list[Picture] = []
    body = [
        f"<h1>{escape(t('Comparison of {models}', models=models))}</h1>",
        f"<p>{escape(t('{n} measured points. Every figure is measured, with its 95 % interval.', n=len(points)))}</p>",
        *_alike(comparison),
        *_charts(points, pictures),
        *_figures(comparison),
        *pairs(comparison),
        *_protocols(points),
        *_recipes(points),
        *_failures(failed),
    ]
    return framed(escape(t("Comparison of {models}", models=models)), "\n".join(body), pictures)


def _alike(comparison: Comparison) -> list[str]:
    """What the points do not have in common, a sentence each."""
    told: dict[str, list[int]] = {}
    for number, one in enumerate(comparison.besides, 1):
        if one is not None and one.basis.message is not None:
            told.setdefault(str(one.basis.message), []).append(number)
    return [
        f'<p class="apart">{escape(t("1 beside {others}", others=", ".join(map(str, numbers))))}: {escape(what)}.</p>'
        for what, numbers in told.items()
    ]


def _charts(points: Sequence[Point], pictures: list[Picture]) -> Iterable[str]:
    """A chart for each figure, and for each group of points that can be compared in it."""
    if not points:
        return
    yield f"<h2>{escape(t('Tradeoffs'))}</h2>"
    yield f"<p>{escape(t('The line is the frontier; what another point beats is faded.'))}</p>"
    for axis in AXES:
        found = [one for one in tradeoffs(points, axis) if one.frontier]
        if axis == "nonzero" and not _differs(points):
            continue
        for one in found:
            told = in_words(points, one, axis)
            yield f"<h3>{escape(_heading(points, one, axis, len(found)))}</h3>"
            yield place(len(pictures), escape(told))
            yield f'<p class="muted">{escape(told)}</p>'
            pictures.append(chart(points, one, axis))


def _differs(points: Sequence[Point]) -> bool:
    """Whether some point has weights that are zero."""
    return any(p.variant["nonzero"] != p.variant.get("parameters") for p in points if "nonzero" in p.variant)


def _heading(points: Sequence[Point], one: Tradeoff, axis: str, of: int) -> str:
    first = points[min([*one.frontier, *one.dominated])]
    named = t("{x} against {score}", x=title(axis), score=title(first.score))
    if of == 1:
        return named
    numbers = ", ".join(str(i + 1) for i in sorted([*one.frontier, *one.dominated]))
    return t("{chart}: {model}, points {numbers}", chart=named, model=first.model, numbers=numbers)


def in_words(points: Sequence[Point], one: Tradeoff, axis: str) -> str:
    """A tradeoff as a sentence, points counted from 1."""
    frontier = ", ".join(str(i + 1) for i in one.frontier)
    told = t("On the frontier of {x}: {points}", x=title(axis), points=frontier)
    if one.knee is not None:
        told += "; " + t("knee: {knee}", knee=one.knee + 1)
    if one.dominated:
        told += "; " + t("dominated: {points}", points=", ".join(str(i + 1) for i in sorted(one.dominated)))
    return told


def _figures(comparison: Comparison) -> Iterable[str]:
    """Every figure of every point."""
    points = comparison.points
    names = list(dict.fromkeys(name for point in points for name in point.variant))
    bounds = comparison.kept[0] if comparison.kept else ()
    heads = ["", t("Recipe"), t("Standing"), *(str(one.bound) for one in bounds), *map(title, names)]
    yield f"<h2>{escape(t('All figures'))}</h2>"
    yield '<div class="wide"><table><thead><tr>' + "".join(f"<th>{escape(h)}</th>" for h in heads) + "</tr></thead>"
    yield "<tbody>"
    for i, point in enumerate(points):
        standing = next(one for one in comparison.tradeoffs if i in (*one.frontier, *one.dominated, *one.missing))
        cells = [f"<th>{i + 1}</th>", f'<td class="words">{escape(kind_of_recipe(point))}</td>']
        cells.append(f'<td class="words">{escape(standing_in_words(standing, i))}</td>')
        cells += [f"<td>{escape(t('holds') if kept.holds else t('fails'))}</td>" for kept in comparison.kept[i]]
        cells += [_cell(point, name) for name in names]
        faded = ' class="faded"' if i in standing.dominated else ""
        yield f"<tr{faded}>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
    yield f'<p class="muted">{escape(t("Standing: of {x} against the score.", x=title(comparison.x)))}</p>'


def _cell(point: Point, name: str) -> str:
    one = point.variant.get(name)
    if one is None:
        return '<td class="figure"></td>'
    if one.value is None:
        return f'<td class="words">{said(one)}</td>'
    n = "" if one.low == one.high else f"<br><small>n = {one.n:,}</small>"
    return f'<td class="figure">{said(one)}{n}</td>'


def _protocols(points: Sequence[Point]) -> Iterable[str]:
    """How it was measured, each way once."""
    told: dict[str, list[int]] = {}
    for number, point in enumerate(points, 1):
        how = json.dumps({**point.protocol, "examples": f"{point.examples} of {point.of}"}, default=str)
        told.setdefault(how, []).append(number)
    yield f"<h2>{escape(t('How it was measured'))}</h2>"
    for how, numbers in told.items():
        listed = ", ".join(map(str, numbers))
        yield f"<h3>{escape(t('Points {numbers}', numbers=listed))}</h3><table><tbody>"
        for name, value in json.loads(how).items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"<tr><th>{escape(title(name))}</th><td>{escape(shown)}</td></tr>"
        yield "</tbody></table>"


def _recipes(points: Sequence[Point]) -> Iterable[str]:
    """What made each point, in words and to be copied."""
    yield f"<h2>{escape(t('Recipes'))}</h2>"
    for number, point in enumerate(points, 1):
        words = point.label if point.made_elsewhere else recipe_in_words(point.recipe)
        if point.ended is not None:
            words += "; " + t("its training ended after step {step} of {of}", step=point.ended[0], of=point.ended[1])
        source = f' <span class="muted">{escape(point.source)}</span>' if point.source else ""
        yield f"<h3>{number} {escape(point.model)}{source}</h3><p>{escape(words)}</p>"
        if not point.made_elsewhere:
            yield f"<pre>{escape(str(point.recipe))}</pre>"


def _failures(failed: Sequence[Failed]) -> Iterable[str]:
    if failed:
        yield f"<h2>{escape(t('Not measured'))}</h2>"
    for one in failed:
        yield f"<p>{escape(str(one.error))}</p><pre>{escape(str(one.recipe))}</pre>"
