"""The command line: the same façade without a browser."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from dashboard import models
from dashboard.printing import line, rows, table
from engine import (
    InvalidInput,
    Measurer,
    Protocol,
    Recipe,
    SecateurError,
    Sweep,
    Workload,
    available_methods,
    describe_method,
    open_store,
    own_reference,
    read_variant,
    reference_to,
    run_sweep,
)

BAD_INPUT = 2
WORKLOAD_HELP = "a function that returns a Workload of your own; may be given again"
RECIPE_HELP = """a JSON list such as '[["weight_pruning", {"amount": 0.5}]]', or a file that holds one"""


class _Parser(argparse.ArgumentParser):
    """Bad input is one sentence on standard error, and exit status 2."""

    def error(self, message: str) -> NoReturn:
        sentence = " ".join((message[:1].lower() + message[1:]).split())
        print(f"secateur: {sentence}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except SecateurError as error:
        print(f"secateur: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("secateur: stopped; what had been measured is kept", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="secateur", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    one = commands.add_parser("run", help="open the dashboard")
    one.add_argument("--port", type=int, default=8501)
    one.add_argument("--json", action="store_true", help="print where the dashboard is as an object")
    one.add_argument("--workload", action="append", metavar="MODULE:FUNCTION", default=[], help=WORKLOAD_HELP)
    one.add_argument("--hub", metavar="NAME|FOLDER", help="a model of transformers, by hub name or from a folder")
    one.add_argument("--data", metavar="FOLDER", help="its data: an image folder, CSV, Parquet or JSON lines")
    one.add_argument("--no-uploads", action="store_true", help="let nobody upload files on the page")
    one.set_defaults(command=_run)
    for name, command, what in (
        ("models", _models, "the models there are"),
        ("methods", _methods, "the methods there are"),
    ):
        one = commands.add_parser(name, help=what)
        one.add_argument("--json", action="store_true")
        if name == "models":
            one.add_argument("--workload", action="append", metavar="MODULE:FUNCTION", default=[], help=WORKLOAD_HELP)
        one.set_defaults(command=command)
    one = commands.add_parser("measure", help="measure one recipe")
    _add_measuring(one)
    made = one.add_mutually_exclusive_group()
    made.add_argument("--recipe", metavar="JSON|FILE", help=RECIPE_HELP)
    made.add_argument("--variant", metavar="FILE", help="a variant made elsewhere: .safetensors, widths may differ")
    one.add_argument("--batch", type=int, metavar="N", help="time this batch size, too, beside 1 and 64")
    one.add_argument("--threads", type=int, metavar="N", help="torch's threads inside one operator")
    one.set_defaults(command=_measure)
    one = commands.add_parser("sweep", help="measure a recipe at many values of one coefficient")
    _add_measuring(one)
    one.add_argument("--recipe", metavar="JSON|FILE", required=True, help=RECIPE_HELP)
    one.add_argument("--vary", metavar="STEP.COEFFICIENT", required=True, help="steps count from 0: 0.amount")
    one.add_argument("--from", dest="low", type=float, metavar="A")
    one.add_argument("--to", dest="high", type=float, metavar="B")
    one.add_argument("--points", type=int, metavar="N", help="exactly so many")
    one.add_argument("--csv", metavar="FILE", help="write the points as a table, too")
    one.set_defaults(command=_sweep, batch=None, threads=None)
    return parser


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a name that `secateur models` prints, or module:function")
    parser.add_argument("--checkpoint", metavar="FILE", help="weights of your own for it, .safetensors")
    parser.add_argument("--data", metavar="FILE", help="test data of your own for it, .npz or .csv")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps; default: cuda where there is one")
    parser.add_argument("--store", metavar="URL", help="where figures are kept; sqlite:// is memory only")
    parser.add_argument("--fresh", action="store_true", help="measure again what is already stored")
    parser.add_argument("--json", action="store_true")


def _run(options: argparse.Namespace) -> int:
    from dashboard.serving import serve

    told = models.settings()
    references = [*told.workloads, *options.workload]
    if options.hub or options.data:
        references.append(_hub(options.hub, options.data))
    models.bring(references)  # what cannot be built is said here, not on the page
    settings = models.Settings(tuple(dict.fromkeys(references)), told.uploads and not options.no_uploads)
    return serve(options.port, settings.to_text(), as_json=options.json)


def _hub(name: str | None, data: str | None) -> str:
    if not name or not data:
        raise InvalidInput("--hub NAME_OR_FOLDER and --data FOLDER must be given together, got one of them")
    folder = Path(name).expanduser()
    return reference_to(
        models.HUB, name=str(folder.resolve()) if folder.exists() else name,
        data=str(Path(data).expanduser().resolve()),
    )  # fmt: skip


def _models(options: argparse.Namespace) -> int:
    names = [*models.bring(options.workload).values(), *models.available()]
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
        **workload.about,
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
    recipe = Recipe.parse(_recipe_text(options.recipe)) if options.recipe is not None else Recipe()
    with _measurer(options) as measurer:
        if options.variant is not None:
            measured = measurer.measure_model(read_variant(Path(options.variant), measurer.workload.model()))
        else:
            measured = measurer.measure(recipe)
    print(json.dumps(measured.to_dict()) if options.json else table(measured))
    return 0


def _sweep(options: argparse.Namespace) -> int:
    plan = Sweep(
        Recipe.parse(_recipe_text(options.recipe)),
        _vary(options.vary),
        points=options.points,
        low=options.low,
        high=options.high,
    )
    plan.recipes()  # a bad plan is refused before a model is loaded
    with _measurer(options) as measurer, rows(options.csv, plan) as write:
        for point in run_sweep(plan, measurer):
            write(point)
            print(json.dumps(point.to_dict()) if options.json else line(point, plan), flush=True)
    return 0


@contextmanager
def _measurer(options: argparse.Namespace) -> Iterator[Measurer]:
    workload = models.load(options.model)
    files = [None if name is None else Path(name) for name in (options.checkpoint, options.data)]
    if any(files):
        workload = Workload.from_reference(own_reference(str(workload.reference), *files))
    protocol = Protocol.here(options.device, options.batch, options.threads)
    store = open_store(options.store)
    try:
        yield Measurer(workload, protocol=protocol, store=store, fresh=options.fresh)
    finally:
        store.close()


def _recipe_text(given: str) -> str:
    """The text itself, or that of the file it names."""
    if given.lstrip()[:1] in ("[", "{", '"', ""):
        return given
    try:
        return Path(given).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "--recipe must be a JSON list or a file that holds one, got {got!r}: {why}",
            got=given[:80], why=getattr(error, "strerror", "") or error,
        ) from error  # fmt: skip


def _vary(text: str) -> tuple[int, str]:
    step, dot, name = text.partition(".")
    if not (dot and name and step.isascii() and step.isdigit() and len(step) < 6):
        raise InvalidInput("--vary must be STEP.COEFFICIENT such as 0.amount, got {got!r}", got=text[:60])
    return int(step), name
