"""Every form of every method there is, on every tiny model: found, never listed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from engine import Context, Form, Method, Recipe, Workload, available_methods
from tests.tiny import MAKERS, tiny

MODELS = tuple(MAKERS)

# Where a default would do nothing to a tiny model, or would take long.
GENTLE = {"steps": 3, "batch_size": 32, "examples": 32, "rank": 0.25}

# (method, form, model) that must be refused, and why. A refusal that is not here fails the suite, and so does one
# that is here and no longer comes.
REFUSALS = {
    **{
        ("layer_pruning", form, model): why
        for form in ("formula", "block_influence", "angular_distance", "greedy", "random")
        for model, why in (
            ("conv", "a plain chain: no layer gives the shape that it got"),
            ("tied", "its only block is written out in forward(), so it is no module"),
        )
    },
    ("knowledge_distillation", "softened", "regression"): "there are no class scores to soften",
    **{
        ("repair", "statistics", model): "there is no batch normalisation"
        for model in ("linear", "tied", "attention", "regression", "own_attention")
    },
}


@dataclass(frozen=True)
class Case:
    """One form on one tiny model."""

    method: type[Method]
    form: Form
    model: str

    def __str__(self) -> str:
        return f"{self.method.name}-{self.form.name}-{self.model}"

    @property
    def refused(self) -> bool:
        return (self.method.name, self.form.name, self.model) in REFUSALS

    @property
    def workload(self) -> Workload:
        return tiny(self.model)

    def context(self, device: str = "cpu") -> Context:
        return Context.of(self.workload, torch.device(device))

    def recipe(self, **values: object) -> Recipe:
        return Recipe((gentle(self.method, self.form, **values),))

    def variant(self, **values: object) -> nn.Module:
        return self.recipe(**values).apply(self.workload, device="cpu")


def gentle(method: type[Method], form: Form, **values: object) -> Method:
    """The method in that form, at its defaults but for GENTLE and `values`."""
    own = {name: value for name, value in GENTLE.items() if name in form.coefficients}
    return method(form.name, own | values)


def by_default(method: type[Method]) -> Method:
    """The method in its default form, gentle."""
    return gentle(method, next(form for form in method.forms if form.name == method.default_form))


METHODS = tuple(available_methods().values())
FORMS = [(method, form) for method in METHODS for form in method.forms]
ALL_CASES = [Case(method, form, model) for method, form in FORMS for model in MODELS]
CASES = [case for case in ALL_CASES if not case.refused]

every_form = pytest.mark.parametrize(("method", "form"), FORMS, ids=[f"{m.name}-{f.name}" for m, f in FORMS])
every_case = pytest.mark.parametrize("case", CASES, ids=str)
