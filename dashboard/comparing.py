"""`secateur compare`, `report` and `orders`: measured points beside each other."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from engine import (
    Beside,
    Bound,
    Comparison,
    Estimate,
    Failed,
    InvalidInput,
    Measured,
    Measurer,
    Point,
    Recipe,
    Tradeoff,
    beside,
    compared,
    measured_orders,
    ranked,
    read_points,
    recipe_in_words,
    rows,
    write_csv,
    write_parquet,
)

MOST_PLACES = 20  # of the examples that only one gets right
WIDE = 60  # characters of a recipe in a table


def compare(options: argparse.Namespace) -> int:
    """Print how the points of some files stand to each other. Raises InvalidInput for a bad file or bound."""
    comparison, failed = _compared(options)
    if options.json:
        told = [one.to_dict() for one in failed]
        print(json.dumps({**comparison.to_dict(), "failed": told}))
    else:
        print("\n".join(lines(comparison, failed)))
    return 0


def report(options: argparse.Namespace) -> int:
    """Write the page and tables. Raises InvalidInput for a bad file, or one that cannot be written."""
    from dashboard.report import write_report  # Plotly is needed nowhere else

    comparison, failed = _compared(options)
    found = rows([*comparison.points, *failed])
    written = [Path(options.to)]
    write_report(written[0], comparison, failed)
    for name, write in ((options.csv, write_csv), (options.parquet, write_parquet)):
        if name is not None:
            write(Path(name), found)
            written.append(Path(name))
    if options.json:
        print(json.dumps({"files": [str(file) for file in written]}))
    else:
        print("\n".join(map(str, written)))
    return 0


def ranking(measurer: Measurer, recipe: Recipe, as_json: bool) -> str:
    """Every order of a recipe's steps, measured, the best first: an object a line, or in words."""
    found = ranked(list(measured_orders(measurer, recipe)))
    if as_json:
        return "\n".join(json.dumps(one.to_dict()) for one in found)
    told = []
    for number, one in enumerate(found, 1):
        order = " → ".join(step.name for step in one.recipe) or "the original"
        if isinstance(one, Failed):
            told.append(f"{number:<3} {order}  failed: {one.error}")
            continue
        point, best = Point.of_measured(one), found[0]
        score, parameters = point.variant[point.score], point.variant["parameters"].value
        line = f"{number:<3} {order}  {point.score} {_interval(score)}  {parameters:,.0f} parameters"
        if number > 1 and isinstance(best, Measured):
            apart = beside(Point.of_measured(best), point)
            line += f"  beside the first: {apart.summary[0]}" if apart.summary else ""
        told.append(line)
    return "\n".join(told)


def _compared(options: argparse.Namespace) -> tuple[Comparison, list[Failed]]:
    bounds = [Bound.parse(text) for text in options.within]
    found = read_points([Path(name) for name in options.files])
    points = [one for one in found if isinstance(one, Point)]
    if not points:
        raise InvalidInput("the files must hold a point that was measured, got {n} that failed", n=len(found))
    return compared(points, options.x, bounds), [one for one in found if isinstance(one, Failed)]


def lines(comparison: Comparison, failed: Sequence[Failed]) -> list[str]:
    """A comparison as text, points counted from 1."""
    told = _table(comparison)
    told += [_standing(one, comparison) for one in comparison.tradeoffs if one.frontier]
    for number, one in enumerate(comparison.besides, 1):
        if one is not None:
            told += ["", f"{number} beside 1: " + ", ".join(map(str, one.summary))]
            told += [f"  {message}" for message in one.recipes]
            told += [f"  {one.basis.message}"] if one.basis.message else []
            told += _pair(one) if len(comparison.points) == 2 else []
    told += [f"not measured: {one.recipe}: {one.error}" for one in failed]
    return told


def _table(comparison: Comparison) -> list[str]:
    x = comparison.x
    told = [f"{'':4}{'recipe':{WIDE}} {x:>16}  score with its 95 % interval"]
    for i, point in enumerate(comparison.points):
        words = point.label if point.made_elsewhere else recipe_in_words(point.recipe)
        short = words if len(words) <= WIDE else words[: WIDE - 1] + "…"
        cost, score = point.variant.get(x), point.variant[point.score]
        place = "-" if cost is None or cost.value is None else f"{cost.value:,.6g}"
        broken = [f"FAILS {kept.bound}" for kept in comparison.kept[i] if not kept.holds]
        told.append("  ".join([f"{i + 1:<3} {short:{WIDE}} {place:>16}", f"{point.score} {_interval(score)}", *broken]))
    return told


def _standing(one: Tradeoff, comparison: Comparison) -> str:
    told = f"frontier of {comparison.x}"
    if len(comparison.tradeoffs) > 1:
        told += " among " + ", ".join(str(i + 1) for i in sorted([*one.frontier, *one.dominated]))
    told += ": " + ", ".join(str(i + 1) for i in one.frontier)
    if one.knee is not None:
        told += f"; knee: {one.knee + 1}"
    for i, beaten in sorted(one.dominated.items()):
        by = ", ".join(str(j + 1) for j in beaten.by)
        told += f"\n  {i + 1} is dominated by {by}, {'beyond' if beaten.certain else 'within'} the intervals"
    return told


def _pair(one: Beside) -> list[str]:
    """Every figure of two points, and what one gets right and the other wrong."""
    told = [f"  {'':24}{'1':>16}{'2':>16}  change"]
    for f in one.figures:
        sides = ["-" if e.value is None else f"{e.value:,.6g}" for e in (f.first, f.second)]
        sign = "× " if f.change.unit == "ratio" else ""
        change = f.change.reason if f.change.value is None else f"{sign}{_interval(f.change)}"
        told.append(f"  {f.name:24}{sides[0]:>16}{sides[1]:>16}  {f.verdict}, {change}")
    answers = one.answers
    if answers is None:
        return told
    for who, places in ((1, answers.only_first), (2, answers.only_second)):
        shown = ", ".join(map(str, places[:MOST_PLACES])) + (", ..." if len(places) > MOST_PLACES else "")
        told.append(f"  only {who} right: {len(places)} of {answers.n} examples{': ' if places else ''}{shown}")
    told.append(f"  so uneven a difference by chance: p = {answers.p:.3g}")
    for c in answers.classes:
        ends = [_interval(side) for side in (c.first, c.second)]
        told.append(f"  {c.name}: {ends[0]} and {ends[1]}; only 1 right {c.only_first}, only 2 right {c.only_second}")
    return told


def _interval(one: Estimate) -> str:
    if one.value is None:
        return one.reason
    how = ".2%" if one.unit == "fraction" else ",.4g"
    return f"{one.value:{how}}" + ("" if one.low == one.high else f" [{one.low:{how}}, {one.high:{how}}]")
