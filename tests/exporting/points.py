"""Points of the sample models, written and checked several at a time: one fresh process of each kind for all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine import CannotApply, Exported, Recipe, Workload, available_methods
from engine.exporting.export import Point, verified, written
from engine.exporting.folder import exportable
from engine.metrics.record import DEFAULT_THREADS, torch_threads

GRAPHS = ("onnx", "pt2")
CHECKED = ("safetensors", "onnx", "pt2", "script", "replay")


def quick(method: str) -> Recipe:
    """A method in its default form, its training three steps long."""
    step = Recipe.of([method]).step(0)
    return Recipe((step.with_value("steps", 3),)) if "steps" in step.values else Recipe((step,))


def every_method(workload: Workload) -> dict[str, Recipe]:
    """Each method that can be done to the model, and some in a row."""
    told = {name: quick(name) for name in available_methods()}
    told["in a row"] = Recipe.of(["structure_optimization", "node_pruning", "weight_pruning", "repair"])
    return {name: recipe for name, recipe in told.items() if _can(recipe, workload)}


def _can(recipe: Recipe, workload: Workload) -> bool:
    try:
        recipe.apply(workload, "cpu")
    except CannotApply:
        return False
    return True


def write(workload: Workload, recipe: Recipe, folder: Path, formats: Iterable[str]) -> Point:
    """The files of a point, not checked yet."""
    asked = exportable(folder, formats)
    with torch_threads(DEFAULT_THREADS):
        return written(Point(workload, recipe, recipe.apply(workload, "cpu"), folder), asked)


def check(*points: Point) -> list[Exported]:
    """What a fresh process finds of them."""
    with torch_threads(DEFAULT_THREADS):
        return verified(points)
