"""What the points of a sweep have in common is computed for the first of them alone: over every form there is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine import Coefficient, Form
from tests.contract.cases import CASES, Case

DEAR = frozenset(
    ("sort", "argsort", "kthvalue", "topk", "_linalg_svd", "_linalg_eigh", "linalg_inv_ex", "linalg_cholesky_ex",
     "_linalg_solve_ex", "std")
)  # fmt: skip
LARGE = 64  # numbers: nodes and blocks are chosen among fewer
TWO = {"energy": (0.6, 0.8), "amount": (0.2, 0.3), "alpha": (0.3, 0.5), "limit": (0.1, 0.2), "n": (1, 2)}
SCALES = ({"scale": "absolute"}, {"scale": "std"})
POINTS = [
    pytest.param(case, more, id="-".join((str(case), *more.values())))
    for case in CASES
    if "training" not in case.form.needs
    for more in (SCALES if "scale" in case.form.coefficients else ({},))
]

# What hangs on the coefficient that is varied, or on the variant.
ANEW = {
    ("weight_pruning", "inverse_hessian"): {"sort": "what goes next hangs on what has gone"},
    ("layer_pruning", "greedy"): {"passes": "one more block is tried"},
    ("repair", "least_squares"): {"_linalg_solve_ex": "of the variant", "passes": "of the variant"},
    ("repair", "statistics"): {"passes": "of the variant"},
}


class Seeing(TorchDispatchMode):
    """Counts what is dear."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        name = func._overloadpacket.__name__
        if name in DEAR and isinstance(args[0], Tensor) and args[0].numel() > LARGE:
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


def values(form: Form, coefficients: tuple[Coefficient, ...]) -> tuple[str, tuple[object, object]]:
    """The coefficient of a form that a sweep would vary, with two values; of one that says how much, not how well."""
    own = [c for c in coefficients if c.name in form.coefficients]
    knob = next((c for c in own if c.name in TWO or c.kind == "fraction"), own[0])
    return knob.name, TWO.get(knob.name, (0.25, 0.4) if knob.kind == "fraction" else (32, 32))


@pytest.mark.parametrize(("case", "more"), POINTS)
def test_the_second_point_of_a_sweep_does_none_of_what_the_first_did(case: Case, more: dict[str, str]) -> None:
    context, passes = case.context(), Counter[str]()
    context.original.register_forward_pre_hook(lambda *_: passes.update(["passes"]))  # a copy takes it along
    name, points = values(case.form, case.method.coefficients)
    case.recipe(**{name: points[0]}, **more).apply_in(context)
    passes.clear()
    with Seeing() as seeing:
        case.recipe(**{name: points[1]}, **more).apply_in(context)
    assert passes["passes"] >= 1  # the variant's own, which shows that it runs
    dear = Counter({**seeing.seen, "passes": passes["passes"] - 1})
    allowed = ANEW.get((case.method.name, case.form.name), {})
    assert {what: n for what, n in dear.items() if n and what not in allowed} == {}


def test_what_may_be_done_anew_is_done_by_a_form_that_there_is() -> None:
    assert ANEW.keys() <= {(case.method.name, case.form.name) for case in CASES}
