"""What a reader keeps in view to compare: recipes, each on its model."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard import models
from engine import InvalidInput, Recipe

LETTERS = "ABCDEFGHIJKL"  # what pins are called, in their order
MOST_PINS = len(LETTERS)


@dataclass(frozen=True)
class Pin:
    """One recipe on one model, without the steps that were switched off."""

    model: str
    recipe: Recipe

    def to_list(self) -> list[object]:
        """As plain data."""
        return [self.model, self.recipe.to_list()]


def pins_of(plain: object) -> tuple[Pin, ...]:
    """The pins in an address. Raises InvalidInput, UnknownName or MalformedRecipe with one sentence."""
    if not isinstance(plain, list) or len(plain) > MOST_PINS:
        got = f"{len(plain)} of them" if isinstance(plain, list) else str(plain)[:40].strip()
        raise InvalidInput("pins must be a list of at most {most}, got {got}", most=MOST_PINS, got=got)
    found = []
    for one in plain:
        if not isinstance(one, list) or len(one) != 2 or not isinstance(one[0], str):
            raise InvalidInput("a pin must be [model, recipe], got {got}", got=str(one)[:60].strip())
        models.reference(one[0])
        found.append(Pin(one[0], Recipe.of(one[1])))
    return tuple(dict.fromkeys(found))
