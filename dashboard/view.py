"""What is on the screen, as one text: pure data, no session."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from dashboard import models
from dashboard.gallery import FIRST_MODEL, RECIPES
from dashboard.how import How
from dashboard.pin import LETTERS, Pin, pins_of
from engine import InvalidInput, Recipe

VERSION = 1
MOST_TEXT = 16_384
AXES = ("coefficient", "parameters", "nonzero", "multiply_adds", "size_bytes", "latency_ms", "latency_ms_64")
CLOSER = ("accuracy", "layers", "batches", "map")


@dataclass(frozen=True)
class View:
    """What is on the screen.

    off     numbers of the steps that are switched off
    vary    (step, coefficient) that the curve lets loose
    x       the quantity on the chart's horizontal axis
    layer   the weights under the microscope; "" is the largest
    line    the number of the line that a language model writes
    closer  what is looked at more closely: one of CLOSER, or nothing
    full    whether the curve's points are evaluated on every example
    how     how it is measured, where not as this server does by habit
    pins    what is kept to compare
    beside  the letter of the pin that it is held against; "" for none
    """

    model: str
    recipe: Recipe
    off: frozenset[int] = frozenset()
    vary: tuple[int, str] | None = None
    x: str = "coefficient"
    layer: str = ""
    line: int = 0
    closer: str = ""
    full: bool = False
    how: How = field(default_factory=How)
    pins: tuple[Pin, ...] = ()
    beside: str = ""

    @property
    def active(self) -> Recipe:
        """The recipe without the steps that are switched off."""
        return Recipe(tuple(step for i, step in enumerate(self.recipe) if i not in self.off))

    @property
    def pin(self) -> Pin:
        """What is on the screen, as it is kept to compare."""
        return Pin(self.model, self.active)

    @property
    def active_vary(self) -> tuple[int, str] | None:
        """What is varied, counted among the active steps; None where nothing can be."""
        if self.vary is None or self.vary[0] in self.off:
            return None
        index, name = self.vary
        return index - sum(1 for i in self.off if i < index), name

    def to_text(self) -> str:
        """The canonical text, as it stands in the address."""
        plain = {
            "v": VERSION,
            "model": self.model,
            "recipe": self.recipe.to_list(),
            "off": sorted(self.off),
            "vary": list(self.vary) if self.vary else None,
            "x": self.x,
            "layer": self.layer,
            **({"line": self.line} if self.line else {}),
            **({"closer": self.closer} if self.closer else {}),
            **({"full": True} if self.full else {}),
            **({"how": self.how.to_dict()} if self.how != How() else {}),
            **({"pins": [pin.to_list() for pin in self.pins]} if self.pins else {}),
            **({"beside": self.beside} if self.beside else {}),
        }
        return json.dumps(plain, separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> View:
        """The view in an address. Raises InvalidInput, UnknownName or MalformedRecipe with one sentence."""
        if len(text) > MOST_TEXT:
            raise InvalidInput("the address must hold at most {most} characters, got {n}", most=MOST_TEXT, n=len(text))
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInput("the address must hold a view as JSON, got: {why}", why=str(error)[:120]) from error
        if not isinstance(plain, dict):
            raise InvalidInput("the address must hold a view as an object, got {kind}", kind=type(plain).__name__)
        return _checked(plain)


def _checked(plain: Mapping[str, object]) -> View:
    if plain.get("v") != VERSION:
        raise InvalidInput(
            "the address must be of version {wanted}, got {got!r}", wanted=VERSION, got=str(plain.get("v"))[:20]
        )
    model = plain.get("model")
    if not isinstance(model, str):
        raise InvalidInput("the address must name a model, got {got}", got=str(model)[:40].strip())
    models.reference(model)
    recipe = Recipe.of(cast("list[object]", plain.get("recipe", [])))
    off = plain.get("off", [])
    if not isinstance(off, list) or not all(type(i) is int and 0 <= i < len(recipe) for i in off):
        raise InvalidInput("the steps switched off must be steps of the recipe, got {got}", got=str(off)[:60].strip())
    x, layer = plain.get("x", AXES[0]), plain.get("layer", "")
    if x not in AXES:
        raise InvalidInput(
            "the horizontal axis must be one of {axes}, got {got!r}", axes=", ".join(AXES), got=str(x)[:40]
        )
    if not isinstance(layer, str):
        raise InvalidInput("the layer must be a name, got {got}", got=str(layer)[:40].strip())
    line = plain.get("line", 0)
    if type(line) is not int or not 0 <= line < 2**31:
        raise InvalidInput("the line must be a whole number from 0, got {got}", got=str(line)[:40].strip())
    closer, how = plain.get("closer", ""), How.of(plain.get("how", {}))
    if closer not in ("", *CLOSER):
        raise InvalidInput(
            "closer must be one of {all}, got {got}", all=", ".join(CLOSER), got=str(closer)[:40].strip()
        )
    full = plain.get("full", False)
    if not isinstance(full, bool):
        raise InvalidInput("full must be true or false, got {got}", got=str(full)[:40].strip())
    vary = _vary(plain.get("vary"), recipe)
    pins, beside = pins_of(plain.get("pins", [])), plain.get("beside", "")
    if beside and beside not in tuple(LETTERS[: len(pins)]):
        raise InvalidInput("beside must be the letter of a pin, got {got}", got=str(beside)[:40].strip())
    return View(
        model, recipe, frozenset(off), vary, str(x), layer, line, str(closer), full, how, pins, str(beside or "")
    )


def _vary(given: object, recipe: Recipe) -> tuple[int, str] | None:
    if given is None:
        return first_vary(recipe)
    if not isinstance(given, list) or len(given) != 2:
        raise InvalidInput("the varied coefficient must be [step, name], got {got}", got=str(given)[:60].strip())
    step = recipe.step(given[0])
    coefficient = step.coefficient(given[1])
    if coefficient.name not in step.values or not coefficient.numeric:
        raise InvalidInput("{name} must be a number that the step uses to be varied", name=coefficient.name)
    return given[0], given[1]


def first_vary(recipe: Recipe, prefer: int = 0) -> tuple[int, str] | None:
    """The first number among the coefficients of the preferred step, or of any."""
    order = [prefer, *range(len(recipe))] if prefer < len(recipe) else list(range(len(recipe)))
    for index in order:
        step = recipe.step(index)
        for coefficient in type(step).coefficients:
            if coefficient.numeric and coefficient.name in step.values:
                return index, coefficient.name
    return None


def first_view() -> View:
    """What a visitor without a link sees."""
    recipe = Recipe.of(RECIPES[0].recipe)
    return View(FIRST_MODEL, recipe, vary=RECIPES[0].vary or first_vary(recipe))
