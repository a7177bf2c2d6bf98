"""The command line: the same façade without a browser."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dashboard import models
from dashboard.arguments import BAD_INPUT, parser, recipe_text, vary
from dashboard.bounds import BROKEN_BOUND, Bounds, checked
from dashboard.comparing import compare, ranking, report
from dashboard.interrupts import Interrupts
from dashboard.opening import measurer_of, workload_of
from dashboard.printing import exported_table, layers_table, line, map_table, rows, table, there
from engine import (
    InvalidInput,
    Measurer,
    Protocol,
    Recipe,
    SecateurError,
    Sweep,
    available_methods,
    describe_method,
    export,
    exportable,
    open_store,
    orders,
    read_result,
    read_variant,
    reference_to,
    run_sweep,
    treatability_map,
    view_layers,
    write_kit,
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    options = parser(__doc__).parse_args(arguments)
    try:
        status = COMMANDS[options.command](options)
        sys.stdout.flush()
        return status
    except SecateurError as error:
        print(f"secateur: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # whoever read the output has heard enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("secateur: stopped; what had been measured is kept", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    from dashboard.serving import serve

    told = models.settings()
    references = [*told.workloads, *_told(options)]
    if options.hub or options.data:
        references.append(_hub(options.hub, options.data))
    models.bring(references)  # what cannot be built is said here, not on the page
    settings = models.Settings(tuple(dict.fromkeys(references)), told.uploads and not options.no_uploads)
    return serve(options.port, settings.to_text(), as_json=options.json)


def _told(options: argparse.Namespace) -> list[str]:
    return [*options.workload, *(models.pretrained_references() if options.pretrained else ())]


def _hub(name: str | None, data: str | None) -> str:
    if not name or not data:
        raise InvalidInput("--hub NAME_OR_FOLDER and --data FOLDER must be given together, got one of them")
    folder = Path(name).expanduser()
    return reference_to(
        models.HUB, name=str(folder.resolve()) if folder.exists() else name,
        data=str(Path(data).expanduser().resolve()),
    )  # fmt: skip


def _models(options: argparse.Namespace) -> int:
    own = models.bring([*_told(options), *models.settings().workloads])
    names = [*own.values(), *(name for name in models.available() if name not in own)]
    found = [_describe_model(name) for name in names]
    if options.json:
        print(json.dumps({"models": found}))
        return 0
    for model in found:
        print(f"{model['name']:22} {model['task']:20} {model['parameters']:>10,} parameters  {_scored(model)}")
    return 0


def _describe_model(name: str) -> dict[str, object]:
    workload = models.load(name)
    protocol = replace(Protocol.here(), batches=())
    with closing(open_store()) as store:
        measured = Measurer(workload, protocol=protocol, store=store).measure(None)
    figures = measured.original
    return {
        **workload.about,
        "name": workload.name,
        "task": workload.task.name,
        "score": workload.task.scores,
        "figure": workload.task.figure,
        "splits": workload.splits,
        **{name: figures[name].to_dict() for name in workload.task.figures},
        "chance": measured.chance,
        "parameters": figures.parameters.value,
        "size_bytes": figures.size_bytes.value,
        "multiply_adds": figures.multiply_adds.value,
        "classes": list(workload.classes),
        "protocol": measured.protocol.to_dict(),
    }


def _scored(model: dict[str, object]) -> str:
    estimate: dict[str, object] = model[str(model["figure"])]  # type: ignore[assignment]
    value = estimate["value"]
    if not isinstance(value, float):
        return str(estimate["reason"])
    return f"{model['score']} " + (f"{value:.1%}" if estimate["unit"] == "fraction" else f"{value:.4g}")


def _methods(options: argparse.Namespace) -> int:
    found = [describe_method(kind) for kind in available_methods().values()]
    if options.json:
        print(json.dumps({"methods": found}))
        return 0
    for kind in available_methods().values():
        for form in kind.forms:
            mark = "*" if form.name == kind.default_form else " "
            print(f"{kind.name:24} {mark} {form.name:18} {', '.join(form.coefficients)}")
    return 0


def _measure(options: argparse.Namespace) -> int:
    recipe = Recipe.parse(recipe_text(options.recipe)) if options.recipe is not None else Recipe()
    with measurer_of(options) as measurer:
        if options.baseline is not None:
            measured = measurer.measure_baseline(options.baseline)
        elif options.variant is not None:
            measured = measurer.measure_model(read_variant(Path(options.variant), measurer.workload.model()))
        else:
            measurer.channel = pressed = Interrupts()
            with pressed.listening():
                measured = measurer.measure(recipe)
    print(json.dumps(measured.to_dict()) if options.json else table(measured))
    return 0


def _check(options: argparse.Namespace) -> int:
    recipe = Recipe.parse(recipe_text(options.recipe))
    bounds = Bounds(options.min_accuracy, options.max_latency_ms, options.max_parameters)
    with measurer_of(options) as measurer:
        measured = measurer.measure(recipe)
    checks = checked(measured, bounds)
    if options.json:
        print(json.dumps({"passed": all(c.holds for c in checks), "checks": [c.to_dict() for c in checks]}))
    else:
        print("\n".join(str(c) for c in checks))
    return 0 if all(c.holds for c in checks) else BROKEN_BOUND


def _layers(options: argparse.Namespace) -> int:
    recipe = Recipe.parse(recipe_text(options.recipe))
    with measurer_of(options) as measurer:
        found = view_layers(measurer, recipe, options.step, options.examples)
    print(json.dumps(found) if options.json else layers_table(found))
    return 0


def _bench_kit(options: argparse.Namespace) -> int:
    if (options.model is None) == (options.read is None):
        raise InvalidInput("bench-kit must be given a MODEL to write a kit, or --read FILE to read a result, not both")
    if options.read is not None:
        with closing(open_store(options.store)) as store:
            found = read_result(Path(options.read), store)
        print(json.dumps(found) if options.json else "\n".join(there(found)))
        return 0
    with measurer_of(options) as measurer:
        files = write_kit(measurer, Recipe.parse(recipe_text(options.recipe)), Path(options.to))
    if options.json:
        print(json.dumps({"files": [str(file) for file in files]}))
    else:
        back = f"secateur bench-kit --read {files[0].parent}/result.json"
        print(f"on the other machine: python {files[0]}\nthen here: {back}")
    return 0


def _export(options: argparse.Namespace) -> int:
    recipe, folder = Recipe.parse(recipe_text(options.recipe)), Path(options.to)
    formats = exportable(folder, options.formats)  # what cannot be done is refused before a model is loaded
    with measurer_of(options) as measurer:
        told = measurer.measure(recipe) if "card" in formats else None
        model = None if told is None else measurer.built.of(recipe, measurer.context)
        found = export(measurer.workload, recipe, folder, formats, told, model)
    print(json.dumps(found.to_dict()) if options.json else exported_table(found))
    return 0 if found.verified else BROKEN_BOUND


def _sweep(options: argparse.Namespace) -> int:
    plan = Sweep(
        Recipe.parse(recipe_text(options.recipe)),
        vary(options.vary),
        points=options.points,
        low=options.low,
        high=options.high,
    )
    plan.recipes()  # a bad plan is refused before a model is loaded
    with measurer_of(options) as measurer, rows(options.csv, plan) as write:
        for point in run_sweep(plan, measurer, options.full):
            write(point)
            print(json.dumps(point.to_dict()) if options.json else line(point, plan), flush=True)
    return 0


def _orders(options: argparse.Namespace) -> int:
    recipe = Recipe.parse(recipe_text(options.recipe))
    orders(recipe)  # too many steps are refused before a model is loaded
    with measurer_of(options) as measurer:
        print(ranking(measurer, recipe, options.json))
    return 0


def _map(options: argparse.Namespace) -> int:
    found = treatability_map(workload_of(options), options.method).to_dict()
    print(json.dumps(found) if options.json else map_table(found))
    return 0


COMMANDS = {
    "run": _run, "models": _models, "methods": _methods, "measure": _measure, "check": _check, "layers": _layers,
    "map": _map, "bench-kit": _bench_kit, "export": _export, "sweep": _sweep, "compare": compare, "report": report,
    "orders": _orders,
}  # fmt: skip
