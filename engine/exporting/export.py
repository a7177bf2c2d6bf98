"""A point written into a folder, and checked there at once in a fresh process."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from engine.edit.training import ended_at
from engine.errors import CannotApply
from engine.examples import count
from engine.exporting.architecture import Plan, edits_between, plan_of, state_of
from engine.exporting.card import card
from engine.exporting.checking import BATCHES, EXAMPLES, Check, check, examples_for, with_found
from engine.exporting.folder import ARCHITECTURE, NAMES, OURS, exportable, writing
from engine.exporting.outcome import FORMATS, TOLERANCES, Exported, File
from engine.exporting.programs import program_of, used_by, write_onnx, write_program
from engine.exporting.scripts import rebuild_script, replay_script
from engine.measured import Measured
from engine.metrics.record import DEFAULT_THREADS, torch_threads
from engine.recipe import Recipe, RecipeLike
from engine.workload import Workload

NO_REFERENCE = "the workload has no reference by which another process could build it"


@dataclass
class Point:
    """What is written: the variant, on the CPU, and the files so far."""

    workload: Workload
    recipe: Recipe
    model: nn.Module
    folder: Path
    measured: Measured | None = None
    files: list[File] = field(default_factory=list)
    edits: list[str] = field(default_factory=list)
    plan: Plan | None = None
    script: str = ""
    why: str = ""  # there is no script
    own: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    @property
    def about(self) -> dict[str, object]:
        """What every text says."""
        told = self.measured.protocol if self.measured is not None else None
        threads, seed = (DEFAULT_THREADS, 0) if told is None else (told.threads, told.seed)
        device = "cpu" if told is None else told.device
        return {"version": version(), "device": device, "threads": threads, "seed": seed, "edits": self.edits}

    @property
    def result(self) -> Exported:
        """What became of it."""
        return Exported(self.workload.name, self.recipe.to_list(), self.folder, tuple(self.files), tuple(self.edits))


def export(
    workload: Workload, recipe: RecipeLike, to: Path | str, formats: Iterable[str] = FORMATS,
    measured: Measured | None = None, model: nn.Module | None = None,
) -> Exported:  # fmt: skip
    """Write a point into a folder and check each file at once in a fresh process.

    to          a folder that is new, empty, or holds an earlier export, which goes
    formats     of "safetensors", "onnx", "pt2", "script", "card"
    measured    the point's figures, for the card
    model       the variant where it is built already; it is not changed

    What cannot be done is a reason in the result, and the other files are written. Raises InvalidInput for a format
    or a folder, CannotApply and BrokenVariant as the recipe does.
    """
    made, folder = Recipe.of(recipe), Path(to)
    asked = exportable(folder, formats)
    threads = DEFAULT_THREADS if measured is None else measured.protocol.threads
    with torch_threads(threads):  # as replay.py has it
        device = "cpu" if measured is None else measured.protocol.device
        variant = made.apply(workload, device) if model is None else copy.deepcopy(model)
        variant = variant.cpu().eval()
        return verified([written(Point(workload, made, variant, folder, measured), asked)])[0]


def written(point: Point, formats: Sequence[str]) -> Point:
    """The same, its files written, the card aside. Raises InvalidInput where the folder cannot be written."""
    with writing(point.folder):
        for name in OURS:
            (point.folder / name).unlink(missing_ok=True)
        point.why = _described(point)
        if "safetensors" in formats or "script" in formats:
            state = {name: tensor.contiguous() for name, tensor in state_of(point.model).items()}
            save_file(state, point.folder / NAMES["safetensors"], {"format": "pt"})
            _add(point, "safetensors", lambda path: None)
        _graphs(point, formats)
        if "script" in formats:
            _add(point, "script", lambda path: _text(path, point.script, point.why), tuple(point.own))
            _add(point, "replay", lambda path: path.write_text(_replay(point), "utf-8"), ("secateur",))
        if "card" in formats:
            point.files.append(File("card", NAMES["card"]))
    return point


def _described(point: Point) -> str:
    """Write architecture.json and make rebuild.py's text; why that cannot be done, or nothing."""
    about: dict[str, object] = {"model": point.workload.name, "recipe": point.recipe.to_list()}
    about |= {"secateur": version(), "torch": torch.__version__}
    try:
        point.plan = plan = plan_of(point.model)
        point.edits = edits_between(plan_of(point.workload.model()), plan)
        point.script, point.own = rebuild_script(plan, point.workload.name, point.recipe, point.edits)
        told = plan.to_dict(**about, edits=point.edits, needs=point.own)
        why = ""
    except CannotApply as error:
        point.plan, why = None, str(error)
        told = Plan().to_dict(**about, edits=[], needs=[], cannot=why)
    (point.folder / ARCHITECTURE).write_text(json.dumps(told, indent=1), "utf-8")
    return why


def _graphs(point: Point, formats: Sequence[str]) -> None:
    """model.pt2 and model.onnx, both of one program."""
    if not {"onnx", "pt2"} & set(formats):
        return
    why = ""
    try:
        inputs = examples_for(point.workload.train[0])
        program = program_of(copy.deepcopy(point.model), inputs, BATCHES)
        point.used = used_by(program)
    except CannotApply as error:
        why = str(error)
    for kind, write, needs in (("onnx", write_onnx, ("onnxruntime",)), ("pt2", write_program, ())):
        if kind in formats and why:
            point.files.append(File(kind, NAMES[kind], reason=why))
        elif kind in formats:
            _add(point, kind, partial(write, program), needs)


def _add(point: Point, kind: str, write: Callable[[Path], object], needs: tuple[str, ...] = ()) -> None:
    """Write a file and note it, or note why not."""
    path = point.folder / NAMES[kind]
    try:
        write(path)
    except CannotApply as error:
        path.unlink(missing_ok=True)
        point.files.append(File(kind, path.name, reason=str(error), needs=needs))
        return
    size = sum(one.stat().st_size for one in (path, path.with_name(f"{path.name}.data")) if one.exists())
    point.files.append(File(kind, path.name, size, needs=needs))


def _text(path: Path, text: str, why: str) -> None:
    if why:
        raise CannotApply("{why}", why=why)
    path.write_text(text, "utf-8")


def _replay(point: Point) -> str:
    workload, about = point.workload, point.about
    if ended_at(point.model) is not None:
        raise CannotApply("replay.py must have a recipe that gives the model, got a training that somebody ended")
    told = {"name": workload.name, "reference": workload.reference or "", "fingerprint": workload.fingerprint}
    return replay_script({**told, **{k: about[k] for k in ("version", "device", "seed", "threads")}}, point.recipe)


def verified(points: Sequence[Point]) -> list[Exported]:
    """What became of them: every file is checked in a fresh process, and the cards are written."""
    with tempfile.TemporaryDirectory() as scratch:
        checks = [_check(point, Path(scratch) / str(n)) for n, point in enumerate(points)]
        for by_secateur in (False, True):
            found = check(checks, Path(scratch), by_secateur, torch.get_num_threads())
            for point, told in zip(points, found, strict=True):
                examples = min(EXAMPLES, count(point.workload.test[1]))
                point.files = with_found(point.files, told, examples)
    return [_finished(point) for point in points]


def _check(point: Point, place: Path) -> Check:
    place.mkdir(parents=True)
    rebuild = replay = None
    if point.script:
        rebuild = place / "rebuild.py"
        rebuild.write_text(point.script, "utf-8")
    if ended_at(point.model) is None and point.workload.reference:
        replay = place / "replay.py"
        replay.write_text(_replay(point), "utf-8")
    able = set(TOLERANCES) - ({"replay"} if replay is None else set())
    able -= {"safetensors"} if not (rebuild or replay) else set()
    files = [one if one.kind in able else replace(one, bytes=0) for one in point.files]
    inputs = examples_for(point.workload.test[0])
    return Check(point.folder, place, point.model, inputs, files, rebuild, replay, point.used, not point.own)


def _finished(point: Point) -> Exported:
    """The card, once it is known what it must say."""
    for place, file in enumerate(point.files):
        if file.written and file.verified is None and file.kind in TOLERANCES:
            reason = f"it was not checked: {NO_REFERENCE}"
            reason += f", and {point.why}" if file.kind == "safetensors" else ""
            point.files[place] = replace(file, reason=reason)
    for place, file in enumerate(point.files):
        if file.kind == "card":
            path = point.folder / file.file
            with writing(point.folder):
                others = [one for one in point.files if one is not file]
                path.write_text(card(point.workload, point.recipe, point.measured, others, point.about), "utf-8")
            point.files[place] = replace(file, bytes=path.stat().st_size)
    return point.result


def version() -> str:
    """Secateur's version."""
    try:
        return importlib.metadata.version("secateur")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
