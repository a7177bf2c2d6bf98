"""What the command line takes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from engine import BASELINES, Exported, InvalidInput

BAD_INPUT = 2
WORKLOAD_HELP = "a function that returns a Workload of your own; may be given again"
RECIPE_HELP = """a JSON list such as '[["weight_pruning", {"amount": 0.5}]]', or a file that holds one"""


class Parser(argparse.ArgumentParser):
    """Bad input is one sentence on standard error, and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Say it and leave."""
        sentence = " ".join((message[:1].lower() + message[1:]).split())
        sys.stderr.write(f"secateur: {sentence}; see {self.prog} --help\n")
        raise SystemExit(BAD_INPUT)


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose options name the command that was chosen."""
    made = Parser(prog="secateur", description=description)
    commands = made.add_subparsers(required=True, dest="command", metavar="COMMAND", parser_class=Parser)
    _add_run(commands.add_parser("run", help="open the dashboard"))
    one = commands.add_parser("models", help="the models there are")
    _add_own(one)
    one.add_argument("--json", action="store_true")
    commands.add_parser("methods", help="the methods there are").add_argument("--json", action="store_true")
    _add_measure(commands.add_parser("measure", help="measure one recipe"))
    _add_check(commands.add_parser("check", help="measure one recipe, and fail where a bound is broken"))
    _add_layers(commands.add_parser("layers", help="every layer: what it costs, and what is lost where it is treated"))
    _add_map(commands.add_parser("map", help="what each method can do to each layer, and if not, why"))
    _add_kit(commands.add_parser("bench-kit", help="time original and variant on another machine, with torch alone"))
    _add_export(commands.add_parser("export", help="write the variant for other programs, and check what was written"))
    _add_sweep(commands.add_parser("sweep", help="measure a recipe at many values of one coefficient"))
    _add_orders(commands.add_parser("orders", help="measure a recipe in every order of its steps, the best first"))
    compare = "points beside each other: what differs, and which are worth having"
    _add_compare(commands.add_parser("compare", help=compare))
    _add_report(
        commands.add_parser("report", help="points beside each other, as one HTML page that holds all it needs")
    )
    return made


def _add_run(one: argparse.ArgumentParser) -> None:
    one.add_argument("--port", type=int, default=8501)
    one.add_argument("--json", action="store_true", help="print where the dashboard is as an object")
    _add_own(one)
    one.add_argument("--hub", metavar="NAME|FOLDER", help="a model of transformers, by hub name or from a folder")
    one.add_argument("--data", metavar="FOLDER", help="its data: an image folder, CSV, Parquet or JSON lines")
    one.add_argument("--no-uploads", action="store_true", help="let nobody upload files on the page")


def _add_own(one: argparse.ArgumentParser) -> None:
    one.add_argument("--workload", action="append", metavar="MODULE:FUNCTION", default=[], help=WORKLOAD_HELP)
    one.add_argument("--pretrained", action="store_true", help="the models of the extra secateur[pretrained], too")


def _add_measure(one: argparse.ArgumentParser) -> None:
    _add_measuring(one)
    made = one.add_mutually_exclusive_group()
    made.add_argument("--recipe", metavar="JSON|FILE", help=RECIPE_HELP)
    made.add_argument("--variant", metavar="FILE", help="a variant made elsewhere: .safetensors, widths may differ")
    made.add_argument("--baseline", choices=BASELINES, help="the original in other numbers")
    _add_protocol(one)


def _add_protocol(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--batch", type=int, metavar="N", action="append", help="time this batch size, too, beside 1 and 64; again"
    )
    one.add_argument("--threads", type=int, metavar="N", help="torch's threads inside one operator")
    one.add_argument("--dtype", default="", metavar="T", help="float32 or bfloat16; default: the model's own")


def _add_layers(one: argparse.ArgumentParser) -> None:
    _add_measuring(one)
    one.add_argument("--recipe", metavar="JSON|FILE", default="[]", help=RECIPE_HELP)
    one.add_argument("--step", type=int, metavar="N", help="which treats each layer alone, from 0; default: the last")
    one.add_argument("--examples", type=int, metavar="N", default=1000, help="of validation, at most")
    _add_protocol(one)


def _add_map(one: argparse.ArgumentParser) -> None:
    _add_model(one)
    one.add_argument("--method", metavar="M", action="append", default=[], help="this method only; again for more")
    one.add_argument("--json", action="store_true")


def _add_kit(one: argparse.ArgumentParser) -> None:
    _add_measuring(one, optional=True)
    one.add_argument("--recipe", metavar="JSON|FILE", default="[]", help=RECIPE_HELP)
    one.add_argument("--to", metavar="FOLDER", default="bench-kit", help="where the kit is written")
    one.add_argument("--read", metavar="FILE", help="read back the result.json that a kit wrote")
    _add_protocol(one)


def _add_export(one: argparse.ArgumentParser) -> None:
    _add_measuring(one)
    one.add_argument("--recipe", metavar="JSON|FILE", required=True, help=RECIPE_HELP)
    one.add_argument("--to", metavar="DIR", required=True, help="a folder that is new, empty or an earlier export")
    every = ",".join(Exported.formats)
    one.add_argument("--formats", metavar="A,B,...", default=every, help=f"of {every}; default: all")
    _add_protocol(one)


def _add_check(one: argparse.ArgumentParser) -> None:
    _add_measuring(one)
    one.add_argument("--recipe", metavar="JSON|FILE", required=True, help=RECIPE_HELP)
    one.add_argument("--min-accuracy", type=float, metavar="A", help="of the task's score, whatever it is called")
    one.add_argument("--max-latency-ms", type=float, metavar="MS", help="median, batch of 1")
    one.add_argument("--max-parameters", type=float, metavar="N")
    one.set_defaults(batch=None, threads=None, dtype="")


def _add_sweep(one: argparse.ArgumentParser) -> None:
    _add_measuring(one)
    one.add_argument("--recipe", metavar="JSON|FILE", required=True, help=RECIPE_HELP)
    one.add_argument("--vary", metavar="STEP.COEFFICIENT", required=True, help="steps count from 0: 0.amount")
    one.add_argument("--from", dest="low", type=float, metavar="A")
    one.add_argument("--to", dest="high", type=float, metavar="B")
    one.add_argument("--points", type=int, metavar="N", help="exactly so many; default: as many as the curve needs")
    one.add_argument(
        "--full", action="store_true",
        help="evaluate every example of every point, and not only until its difference is known to ± 1 point",
    )  # fmt: skip
    one.add_argument("--csv", metavar="FILE", help="write the points as a table, too")
    one.set_defaults(batch=None, threads=None, dtype="")


def _add_orders(one: argparse.ArgumentParser) -> None:
    _add_measuring(one)
    one.add_argument("--recipe", metavar="JSON|FILE", required=True, help=RECIPE_HELP)
    _add_protocol(one)


def _add_compare(one: argparse.ArgumentParser) -> None:
    one.add_argument("files", metavar="FILE", nargs="+", help="what `measure --json` or `sweep --json` printed")
    one.add_argument("--x", metavar="FIGURE", default="parameters", help="what is to be small beside a high score")
    bound = "that points must keep: latency<=3, accuracy>=92%%, size<=1.5MB; again for more"
    one.add_argument("--within", metavar="BOUND", action="append", default=[], help=bound)
    one.add_argument("--json", action="store_true")


def _add_report(one: argparse.ArgumentParser) -> None:
    _add_compare(one)
    one.add_argument("--to", metavar="FILE", required=True, help="where the page is written")
    one.add_argument("--csv", metavar="FILE", help="write all points as a table, too")
    one.add_argument("--parquet", metavar="FILE", help="write all points as Parquet, too")


def _add_measuring(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    _add_model(parser, optional)
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps; default: cuda where there is one")
    parser.add_argument("--store", metavar="URL", help="where figures are kept; sqlite:// is memory only")
    parser.add_argument("--fresh", action="store_true", help="measure again what is already stored")
    parser.add_argument("--json", action="store_true")


def _add_model(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    known = "a name that `secateur models` prints, or module:function"
    parser.add_argument("model", metavar="MODEL", help=known, nargs="?" if optional else None)
    parser.add_argument("--checkpoint", metavar="FILE", help="weights of your own for it, .safetensors")
    parser.add_argument("--data", metavar="FILE", help="test data of your own for it, .npz or .csv")


def recipe_text(given: str) -> str:
    """The text itself, or that of the file it names. Raises InvalidInput where there is no such file."""
    if given.lstrip()[:1] in ("[", "{", '"', ""):
        return given
    try:
        return Path(given).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "--recipe must be a JSON list or a file that holds one, got {got!r}: {why}",
            got=given[:80], why=getattr(error, "strerror", "") or error,
        ) from error  # fmt: skip


def vary(text: str) -> tuple[int, str]:
    """The step and the coefficient that STEP.COEFFICIENT names. Raises InvalidInput."""
    step, dot, name = text.partition(".")
    if not (dot and name and step.isascii() and step.isdigit() and len(step) < 6):
        raise InvalidInput("--vary must be STEP.COEFFICIENT such as 0.amount, got {got!r}", got=text[:60])
    return int(step), name
