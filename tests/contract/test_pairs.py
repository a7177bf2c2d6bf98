"""Any method can follow any other."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from engine import Context, Method, Recipe
from tests.contract.cases import METHODS, by_default
from tests.states import Held
from tests.tiny import tiny

PAIRS = list(product(METHODS, METHODS))


@pytest.mark.parametrize("model", ["residual", "attention", "linear"])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a.name}-then-{b.name}" for a, b in PAIRS])
def test_every_ordered_pair_composes(first: type[Method], second: type[Method], model: str) -> None:
    context = Context.of(tiny(model), torch.device("cpu"))
    before = Held.of(context.original)
    variant = Recipe((by_default(first), by_default(second))).apply_in(context)
    with torch.no_grad():
        assert variant(context.train[0]).isfinite().all()
    assert Held.of(context.original) == before
