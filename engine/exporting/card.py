"""card.md: what the point is, every figure with its interval, how it was measured, and what the exports gave."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from engine.exporting.outcome import File
from engine.measured import Measured
from engine.recipe import Recipe
from engine.workload import Workload

MISSING = "not measured"
SIDES = ("original", "variant")
TOLD = ("what", "data", "licence", "trained", "confuses")


def card(
    workload: Workload, recipe: Recipe, point: Measured | None, files: Sequence[File], about: Mapping[str, Any]
) -> str:
    """The text of card.md.

    point    the figures; None where they were not measured
    about    version, threads, seed, edits
    """
    told = None if point is None else point.to_dict()
    parts = [
        f"# {workload.about.get('title', workload.name)}, made smaller",
        _what(workload),
        "## Recipe\n\n" + _recipe(recipe),
        "## What it did to the original\n\n"
        + ("\n".join(f"- {one}" for one in about["edits"]) or "Its numbers alone."),
        "## Figures\n\n" + _figures(told),
        "## Protocol\n\n" + _protocol(told),
        "## Versions\n\n" + _versions(workload, told, about),
        "## Files\n\n" + _files(files),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _what(workload: Workload) -> str:
    splits = ", ".join(f"{n:,} {part}" for part, n in workload.splits.items())
    lines = [f"- {name}: {workload.about[name] or 'not said'}" for name in TOLD if name in workload.about]
    absent = [f"- {name}: not said" for name in ("data", "licence") if name not in workload.about]
    facts = [f"- model: {workload.name}", f"- task: {workload.task.name}", f"- examples: {splits}"]
    return "\n".join([*facts, *lines, *absent])


def _recipe(recipe: Recipe) -> str:
    return f"```json\n{recipe}\n```"


def _figures(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return MISSING
    sides = [told[side] for side in SIDES]
    head = "| figure | original | 95 % interval | variant | 95 % interval | n | unit |\n|---|---|---|---|---|---|---|"
    rows = [head]
    for name in dict.fromkeys(name for side in sides for name in side):
        both = [side.get(name) for side in sides]
        cells = [cell for one in both for cell in _cells(one)]
        last = both[1] or both[0] or {}
        rows.append(f"| {name} | {' | '.join(cells)} | {last.get('n', '-')} | {last.get('unit', '-')} |")
    more = ["| figure | value | 95 % interval | n | unit |\n|---|---|---|---|---|"]
    for path, one in _estimates({name: part for name, part in told.items() if name not in (*SIDES, "speed")}):
        more.append(f"| {path} | {' | '.join(_cells(one))} | {one['n']} | {one['unit']} |")
    for name, value in told.get("paired", {}).items():
        if isinstance(value, int | float):
            more.append(f"| paired {name} | {_number(value)} | - | - | - |")
    chance = f"The score is {told['score']}; the best constant guess has {_number(told['chance'])}."
    words = [chance, *_speeds(told), "Operators that multiply-adds leave out: " + (_uncounted(told) or "none.")]
    return "\n\n".join(["\n".join(rows), "\n".join(words), "Original and variant compared:", "\n".join(more)])


def _speeds(told: Mapping[str, Any]) -> Iterator[str]:
    """A line for each batch size: the verdict, and what it rests on."""
    for batch, found in told.get("speed", {}).items():
        ratio, per_second = found["ratio"], found["throughput_per_s"]
        ends = "" if ratio["value"] is None else f", 99 % interval {_number(ratio['low'])} to {_number(ratio['high'])}"
        each = " and ".join(MISSING if n is None else _number(n) for n in per_second.values())
        yield (
            f"- batch {batch}: {found['verdict']['speed']}; {found['verdict']['cause']} "
            f"(ratio {_cells(ratio)[0]}{ends}; examples a second, original and variant: {each})"
        )
    if "noise_floor" in told:
        yield f"- noise floor of the machine: {told['noise_floor']:.2%}"


def _uncounted(told: Mapping[str, Any]) -> str:
    work = told["compute"]["uncounted"]
    return "; ".join(
        f"{side} {', '.join(f'{k} × {n}' for k, n in found.items())}" for side, found in work.items() if found
    )


def _estimates(told: object, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every figure that lies somewhere in plain data, with the names that lead to it."""
    if isinstance(told, Mapping):
        if {"value", "low", "high", "n", "unit"} <= told.keys():
            yield path.strip(), told
            return
        for name, part in told.items():
            yield from _estimates(part, f"{path} {name}")
    elif isinstance(told, list | tuple):
        for place, part in enumerate(told):
            name = part.get("name", place) if isinstance(part, Mapping) else place
            yield from _estimates(part, f"{path} {name}".replace("|", "/"))


def _cells(one: Mapping[str, Any] | None) -> tuple[str, str]:
    if one is None or one["value"] is None:
        why = "" if one is None else one.get("reason", "")
        return MISSING, why.replace("|", "/") or "-"
    if one["low"] == one["high"] == one["value"]:
        return _number(one["value"]), "exact"
    return _number(one["value"]), f"{_number(one['low'])} to {_number(one['high'])}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _protocol(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return MISSING
    lines = [f"- {name}: {value}" for name, value in told["protocol"].items()]
    evaluated = told["evaluated"]
    lines.append(f"- evaluated: {evaluated['examples']} of {evaluated['of']} test examples")
    if "ended" in told:
        lines.append(f"- the training was ended after step {told['ended']['step']} of {told['ended']['steps']}")
    return "\n".join(lines)


def _versions(workload: Workload, told: Mapping[str, Any] | None, about: Mapping[str, Any]) -> str:
    torch_version = torch.__version__ if told is None else told["protocol"]["torch_version"]
    facts = {"Secateur": about["version"], "torch": torch_version, "Python": platform.python_version()}
    facts |= {
        "seed": about["seed"],
        "threads": about["threads"],
        "weights": workload.dtype,
        "reference": workload.reference or "none",
    }
    return "\n".join(f"- {name}: {value}" for name, value in {**facts, "fingerprint": workload.fingerprint}.items())


def _files(files: Sequence[File]) -> str:
    rows = ["| file | bytes | verified | largest difference | tolerance | batches | examples | parameters | needs |"]
    rows.append("|" + "---|" * 9)
    for one in files:
        tolerance = "-" if one.tolerance is None else "{:g} + {:g} · \\|output\\|".format(*one.tolerance)
        verified = {True: "yes", False: "no", None: "not checked"}[one.verified]
        apart = "-" if one.difference is None else f"{one.difference:.3g}"
        count = "-" if one.parameters is None else f"{one.parameters:,}"
        cells = [one.file, f"{one.bytes:,}" if one.written else "not written", verified, apart, tolerance]
        cells += [
            " and ".join(map(str, one.batches)) or "-",
            str(one.examples or "-"),
            count,
            ", ".join(one.needs) or "-",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    reasons = [f"- {one.file}: {one.reason}" for one in files if one.reason]
    return "\n".join(rows) + ("\n\n" + "\n".join(reasons) if reasons else "")
