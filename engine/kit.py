"""A folder that times original and variant on another machine, and what is read back from there."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from engine.errors import CannotApply, InvalidInput, first_line
from engine.examples import Inputs, call, main_tensor, repeated, take
from engine.keys import elsewhere_key
from engine.measurement import Measurer
from engine.metrics import kit_script, rounds
from engine.metrics.latency import PairTimes, plan_of
from engine.metrics.machine import floor_of
from engine.metrics.size import signature
from engine.metrics.verdict import speed_of
from engine.recipe import Recipe, RecipeLike
from engine.revision import revision
from engine.store import Payload, Store

FORMAT = 1
FILES = ("bench.py", "kit.json", "original.pt2", "variant.pt2")
BAD = "a result must be the file that a kit's bench.py wrote, got {got}: {why}"
MOST_BYTES = 2**26
TOLD = {"machine": str, "device": str, "device_name": str, "threads": int, "torch_version": str}


def write_kit(measurer: Measurer, recipe: RecipeLike, folder: Path) -> list[Path]:
    """Write bench.py, kit.json, original.pt2 and variant.pt2; the script needs torch alone.

    Both models are exported by torch.export, for any batch size, and compared with what they were exported from.
    Raises CannotApply where one cannot be exported, InvalidInput where the folder cannot be written.
    """
    made = Recipe.of(recipe)
    context, batches = measurer.context, measurer.protocol.batches or (1,)
    models = {"original": context.original, "variant": measurer.built.of(made, context)}
    models = {side: copy.deepcopy(measurer.cast(model)).cpu() for side, model in models.items()}  # the original stays
    inputs = repeated(measurer.workload.train[0], max(2, *batches))
    signatures = [signature(model) for model in models.values()]
    kit: Payload = {"format": FORMAT, "model": measurer.workload.name, "recipe": made.to_list()}
    kit |= {"workload": measurer.workload.fingerprint, "signatures": signatures, "revision": revision()}
    kit |= {"batches": list(batches), "dtype": measurer.protocol.dtype, "threads": measurer.protocol.threads}
    kit["plan"] = asdict(plan_of(measurer.protocol))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for side, model in models.items():
            torch.export.save(exported(model, inputs, batches), folder / f"{side}.pt2")
        (folder / "kit.json").write_text(json.dumps(kit, indent=1), "utf-8")
        (folder / "bench.py").write_text(script(), "utf-8")
    except OSError as error:
        key = "a kit must go to a folder that can be written, got {got!r}: {why}"
        raise InvalidInput(key, got=str(folder), why=error.strerror or error) from error
    return [folder / name for name in FILES]


def exported(model: nn.Module, inputs: Inputs, batches: Sequence[int]) -> torch.export.ExportedProgram:
    """The model as a program for any batch size. Raises CannotApply where it is not, or answers otherwise."""
    from torch.export import Dim, export  # not at the top: it takes half a second that only a kit needs

    given = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    keywords = dict(inputs) if isinstance(inputs, dict) else {}
    sizes: Any = {name: {0: Dim.AUTO} for name in keywords} or tuple({0: Dim.AUTO} for _ in given)
    try:
        with torch.no_grad():
            program = export(model.eval(), given, keywords, dynamic_shapes=sizes, strict=False)
            module = program.module(check_guards=False)
            for batch in batches:
                part = take(inputs, slice(batch))
                got, wanted = main_tensor(call(module, part)), main_tensor(call(model, part))
                torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)
    except Exception as error:  # the exporter raises whatever it meets in the model's own code
        raise CannotApply("torch.export must be able to export the model, got: {why}", why=first_line(error)) from error
    return program


def script() -> str:
    """The text of bench.py: the protocol's own file, and behind it what reads the folder."""
    protocol, main = (Path(str(module.__file__)).read_text("utf-8") for module in (rounds, kit_script))
    future = "from __future__ import annotations\n"
    body = re.sub(r"^from engine\.metrics\.rounds import .*\n", "", main, flags=re.MULTILINE)
    head, _, rest = body.partition(future)
    return f"{head}{future}\n# ruff: noqa\n{protocol.partition(future)[2]}\n\n{rest}"


def read_result(path: Path, store: Store) -> Payload:
    """Another machine's figures from a kit's result, kept in the store beside the pair that was timed.

    Raises InvalidInput where the file is no such result.
    """
    plain = _read(path)
    kit, machine = plain["kit"], plain["machine"]
    floor = floor_of(plain["identical"])
    found: Payload = {**{name: machine[name] for name in TOLD}, "noise_floor": floor, "dtype": kit["dtype"]}
    found["batches"] = {batch: _figures(times, int(batch), floor) for batch, times in plain["batches"].items()}
    key = elsewhere_key(kit["workload"], kit["signatures"])
    known = store.get("elsewhere", key) or {}
    mark = " ".join(str(machine[name]) for name in ("machine", "device", "device_name", "threads"))
    store.put("elsewhere", key, {**known, f"{mark} {kit['dtype']}": found})
    return {"model": kit["model"], "recipe": kit["recipe"], **found}


def _figures(times: Mapping[str, Any], batch: int, floor: float) -> Payload:
    sides = [torch.tensor(times[side], dtype=torch.float64) for side in ("original", "variant")]
    figures = PairTimes(sides[0], sides[1], times["ended"]).figures()
    wide = figures["ratio"]["wide"]
    plain: Payload = {side: {k: e.to_dict() for k, e in values.items()} for side, values in figures.items()}
    cause = "not established: layers are not timed on other machines"
    return {**plain, "verdict": {"speed": speed_of(wide, floor), "cause": cause}, "ended": times["ended"]}


def _read(path: Path) -> dict[str, Any]:
    """The file's content, checked. Raises InvalidInput."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        plain = json.loads(path.read_text("utf-8"))
        _check(plain)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        missing = isinstance(error, KeyError)
        why = f"there is no {error}" if missing else getattr(error, "strerror", None) or first_line(error)
        raise InvalidInput(BAD, got=repr(str(path)), why=why) from error
    return cast("dict[str, Any]", plain)


def _check(plain: Any) -> None:
    kit = plain["kit"]
    if kit["format"] != FORMAT:
        raise ValueError(f"its format is {kit['format']!r}, not {FORMAT}")
    for name, kind in TOLD.items():
        if not isinstance(plain["machine"][name], kind):
            raise ValueError(f"its {name} is no {kind.__name__}")
    if len(kit["signatures"]) != 2 or not all(isinstance(s, str) for s in [*kit["signatures"], kit["workload"]]):
        raise ValueError("it does not name the pair that was timed")
    Recipe.of(kit["recipe"])
    _positive(plain["identical"], 1)
    for batch, times in plain["batches"].items():
        if int(batch) < 1 or times["ended"] not in ("narrow", "budget", "rounds"):
            raise ValueError("its batches are not as the script writes them")
        if len(times["original"]) != len(times["variant"]):
            raise ValueError("its rounds are not pairs")
        for side in ("original", "variant"):
            _positive([ms for row in times[side] for ms in row], 2 * len(times[side]))


def _positive(numbers: Any, least: int) -> None:
    good = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) and n > 0 for n in numbers)
    if not good or len(numbers) < max(least, 1):
        raise ValueError("its times are not positive numbers")
