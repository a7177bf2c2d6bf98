"""The variants that were built last, so that the next look at one does not build it again."""

from __future__ import annotations

from torch import nn

from engine.edit.surgery import own_bytes
from engine.edit.training import ended_at
from engine.memo import Memo
from engine.method import Context
from engine.metrics.precision import in_dtype
from engine.recipe import Recipe

KEPT = 2
KEPT_BYTES = 2**28  # of a variant, beside what it shares with the original


class Built:
    """The last variants, where they are not too large. They are for reading: whoever writes into one takes a copy."""

    def __init__(self) -> None:
        self._kept, self._turned = Memo(KEPT), Memo(KEPT)  # of the latter one is the original

    def of(self, recipe: Recipe, context: Context) -> nn.Module:
        """The variant, built where it is none of the last. Raises as `Recipe.apply_in` does."""
        key = (str(recipe), context.seed)
        if key in self._kept:
            return self._kept.once(key, nn.Module)
        model = recipe.apply_in(context)
        if ended_at(model) is None and own_bytes(model, context.original) <= KEPT_BYTES:
            self._kept.once(key, lambda: model)
        return model

    def turned(self, model: nn.Module, dtype: str) -> nn.Module:
        """The model in other numbers, turned where it is none of the last: original and variant are asked for by turns.

        As a copy of the whole model it is dropped with the next variant.
        """
        return self._turned.once((id(model), dtype), lambda: (model, in_dtype(model, dtype)))[1]
