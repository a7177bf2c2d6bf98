"""Measured points as lines, tables and CSV."""

from __future__ import annotations

import csv
import json
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from dashboard.words import signed
from engine import Estimate, Exported, Failed, InvalidInput, Measured, Sweep

LETTERS = string.ascii_lowercase
Write = Callable[[Measured | Failed], None]


@contextmanager
def rows(path: str | None, plan: Sweep) -> Iterator[Write]:
    """A function that writes a point as a row of a CSV file, or does nothing where no file is named."""
    if path is None:
        yield lambda point: None
        return
    try:
        file = Path(path).open("w", newline="", encoding="utf-8")  # noqa: SIM115 - closed below, opened before a long sweep
    except OSError as error:
        raise InvalidInput(
            "--csv must be a file that can be written, got {got!r}: {why}", got=path, why=error.strerror
        ) from error
    index, name = plan.vary
    with file:
        writer = csv.writer(file)
        head: list[str] = []
        waiting: list[dict[str, object]] = []

        def write(point: Measured | Failed) -> None:
            waiting.append({"recipe": str(point.recipe), name: point.recipe.step(index).values[name], **_flat(point)})
            if head or not isinstance(point, Failed):  # the columns are those of the first point that has figures
                flush()

        def flush() -> None:
            if not head:
                head.extend(dict.fromkeys([*waiting[-1], "failed"]))
                writer.writerow(head)
            writer.writerows([row.get(column, "") for column in head] for row in waiting)
            waiting.clear()
            file.flush()

        try:
            yield write
        finally:
            if waiting:
                flush()


def _flat(point: Measured | Failed) -> dict[str, object]:
    if isinstance(point, Failed):
        return {"failed": str(point.error)}
    row: dict[str, object] = {}
    for side, figures in (("original", point.original), ("variant", point.variant)):
        for name, e in figures.figures.items():
            row |= {f"{side}_{name}": e.value, f"{side}_{name}_low": e.low, f"{side}_{name}_high": e.high}
    return row


def line(point: Measured | Failed, plan: Sweep) -> str:
    """A point of a sweep in one line."""
    index, name = plan.vary
    value = point.recipe.step(index).values[name]
    if isinstance(point, Failed):
        return f"{name} {value:<8} failed: {point.error}"
    v, a = point.variant, point.variant[point.score]
    score = a.reason if a.value is None else _scored(a)
    return (
        f"{name} {value:<8} {v.nonzero.value:>12,} of {v.parameters.value:,} parameters not zero  "
        f"{score} of {point.protocol.examples:,} examples  {v.latency_ms.value:.3f} ms"
    )


def _scored(score: Estimate) -> str:
    how = ".2%" if score.unit == "fraction" else ".4g"
    return f"{score.value:{how}} [{score.low:{how}}, {score.high:{how}}]"


def table(measured: Measured) -> str:
    """All figures of a point, original beside variant."""
    elsewhere = measured.content and measured.ended is None
    ended = "" if measured.ended is None else "  (its training ended after step {} of {})".format(*measured.ended)
    rows = [
        f"{measured.model}  {'a variant made elsewhere' if elsewhere else measured.recipe}{ended}",
        f"{'':20}{'original':>16}{'variant':>16}  95 % interval of the variant",
    ]
    for name, changed in measured.variant.figures.items():
        before = measured.original[name]
        sides = ["-" if e.value is None else f"{e.value:,.6g}" for e in (before, changed)]
        interval = (
            changed.reason if changed.value is None else f"{changed.low:,.6g} to {changed.high:,.6g}, n = {changed.n}"
        )
        rows.append(f"{name:20}{sides[0]:>16}{sides[1]:>16}  {interval} {changed.unit}")
    for batch, found in measured.speeds.items():
        verdict = cast("dict[str, str]", found["verdict"])
        rows.append(f"batch {batch}: {verdict['speed']}; {verdict['cause']}")
    for found in measured.elsewhere:
        rows += there(found)
    p = measured.protocol
    rows.append(
        f"{p.device} ({p.device_name}), {p.threads} threads, torch {p.torch_version}, {p.examples} test examples"
    )
    return "\n".join(rows)


def there(found: Mapping[str, object]) -> list[str]:
    """What another machine measured, a line for each batch size."""
    f = cast("dict[str, Any]", found)
    lines = [f"{f['machine']}: {f['device_name']}, {f['threads']} threads, noise floor {f['noise_floor']:.1%}"]
    for batch, times in f["batches"].items():
        ms = [f"{times[side]['median']['value']:.4g}" for side in ("original", "variant")]
        ratio = times["ratio"]["median"]
        ends = f"{ratio['value']:.3g} ({ratio['low']:.3g} to {ratio['high']:.3g})"
        said = times["verdict"]["speed"]
        lines.append(f"  batch {batch}: {said}; original {ms[0]} ms, variant {ms[1]} ms, ratio {ends}")
    return lines


def layers_table(found: Mapping[str, object]) -> str:
    """All layers, one a line: what it costs, and what is lost where the step treats it alone."""
    f = cast("dict[str, Any]", found)
    batch = next(iter(f["protocol"]["batches"]), 1)
    head = f"{'layer':28} {'kind':12} {'shape':>16} {'parameters':>11} {'multiply-adds':>14} {'time':>6}  sensitivity"
    lines = [f"{f['model']}  step {f['step']} of {json.dumps(f['recipe'])}", head]
    for row in f["layers"]:
        shape = "x".join(map(str, row["shape"] or ())) or "-"
        lost = signed(row["sensitivity"]) or row["reason"]
        lines.append(
            f"{row['layer']:28} {row['kind']:12} {shape:>16} {row['parameters']:>11,} {row['multiply_adds']:>14,} "
            f"{row['share']:>6.1%}  {lost}"
        )
    lines.append(
        f"time: share at batch {batch}; sensitivity: fall of {f['score']} on {f['examples']} validation examples"
    )
    return "\n".join(lines)


def map_table(found: Mapping[str, object]) -> str:
    """All layers, one a line: for each method a tick, or the number of the reason why not, which stands below."""
    f = cast("dict[str, Any]", found)
    methods = [name for name, _ in f["tried"]]
    numbers: dict[str, int] = {}
    lines = [f"{f['model']}  tried at batch {' and '.join(map(str, f['batches']))}"]
    lines += [f"{place} {name}" for place, name in zip(LETTERS, methods, strict=False)]
    wide = max((len(row["layer"]) for row in f["layers"]), default=0)
    columns = "".join(f"{place:>4}" for place, _ in zip(LETTERS, methods, strict=False))
    lines.append(f"{'layer':{wide}} {'kind':20} {'parameters':>11}{columns}")
    for row in f["layers"]:
        told = [row["methods"][name] for name in methods]
        marks = [
            "✓" if one["treatable"] else str(numbers.setdefault(one["reason"], len(numbers) + 1)) for one in told
        ]  # fmt: skip
        cells = "".join(f"{mark:>4}" for mark in marks)
        lines.append(f"{row['layer']:{wide}} {row['kind']:20} {row['parameters']:>11,}{cells}")
    lines += [f"{number:>3} {reason}" for reason, number in numbers.items()]
    for one in f["together"]:
        what = "block" if one["nodes"] is None else f"{one['nodes']} nodes of {one['each']}"
        lines.append(f"{one['method']} {one['root']}: {what}, {one['reason'] or '✓'}; {', '.join(one['layers'])}")
    return "\n".join(lines)


def exported_table(found: Exported) -> str:
    """All files of an export, one a line: what was written, and what a fresh process found of it."""
    lines = [f"{found.model}  {json.dumps(found.recipe)}  in {found.folder}"]
    lines.append(f"{'file':18} {'bytes':>12} {'parameters':>12} {'apart':>9}  {'tolerance':24} checked")
    for file in found.files:
        size = f"{file.bytes:,}" if file.written else "-"
        count = "-" if file.parameters is None else f"{file.parameters:,}"
        apart = "-" if file.difference is None else f"{file.difference:.2g}"
        within = "-" if file.tolerance is None else "{:g} + {:g} · |output|".format(*file.tolerance)
        how = f"{file.examples} test examples at batch {' and '.join(map(str, file.batches))}"
        said = f"equal on {how}" if file.verified else file.reason or "no figures to check"
        needs = f"; needs {', '.join(file.needs)}" if file.needs else ""
        lines.append(f"{file.file:18} {size:>12} {count:>12} {apart:>9}  {within:24} {said}{needs}")
    return "\n".join(lines)
