"""Structure optimisation: a weight matrix times a matrix of lower rank."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient
from engine.edit.factors import factored, matrix, right_basis, split_layer
from engine.edit.scores import drawn
from engine.edit.surgery import replace_module, replace_parameters, tied, weights
from engine.form import Effect, Form
from engine.method import Context, Method

RANK = Coefficient(
    "rank",
    "fraction",
    0.5,
    "The rank that each weight matrix keeps, as a share of its full rank. Factors pay below m·n / (m + n).",
    low=0.0,
)


class StructureOptimization(Method):
    """Lower the rank of the weight matrices.

    formula    W_new = W·A with A = V_r·V_rᵀ, the projection on the first r right singular vectors of W: the rank
               falls, the number of parameters does not
    low_rank   W ≈ B·C, two layers (m × r) and (r × n) from the same singular vectors, wherever r·(m + n) < m·n;
               a layer above this break-even rank stays as it is
    random     the same with r of the singular vectors drawn by the seed: the baseline

    rank   share of min(m, n), 0 to 1; r = max(1, round(rank · min(m, n)))

    formula acts on each weight tensor of two or more dimensions, taken as a matrix (outputs, rest); low_rank on
    linear layers and on convolutions in one group, tied weights left alone. Raises CannotApply where low_rank finds
    no such layer.
    Source: the project's source document, formula 6; truncation: Eckart and Young, Psychometrika 1 (1936); for
    convolutions: Zhang et al., arXiv 1505.06798.
    """

    name = "structure_optimization"
    title = "Structure optimisation"
    family = "optimization"
    coefficients = (RANK,)
    forms = (
        Form(
            "formula",
            ("rank",),
            Effect(frozenset({"values"}), keeps_zeros=False, makes_zeros=True),
            r"W_{new} = W \cdot A,\quad A = V_r V_r^{\top}",
            "The rank of every weight matrix falls; the matrix stays as large as it was.",
            "Source document, formula 6",
            neutral={"rank": 1.0},
        ),
        Form(
            "low_rank",
            ("rank",),
            Effect(frozenset({"modules"}), keeps_zeros=False, makes_zeros=True, monotone={"rank": ("parameters", 1)}),
            r"W \approx B_{m \times r}\, C_{r \times n},\quad r < \tfrac{m n}{m + n}",
            "Each layer becomes two thin ones, where that is smaller.",
            "Eckart and Young 1936; Zhang et al. 2015, arXiv 1505.06798",
            neutral={"rank": 1.0},
            baseline="random",
        ),
        Form(
            "random",
            ("rank",),
            Effect(frozenset({"modules"}), keeps_zeros=False, makes_zeros=True, monotone={"rank": ("parameters", 1)}),
            r"W \approx B_{m \times r}\, C_{r \times n},\quad \text{directions by lot}",
            "Two thin layers from directions drawn by lot: what choosing is worth is the distance from here.",
            "Baseline",
            neutral={"rank": 1.0},
        ),
    )
    default_form = "low_rank"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with weight matrices of lower rank."""
        return self._project(model, context) if self.form == "formula" else self._factor(model, context)

    def treats(self, model: nn.Module, path: str) -> tuple[bool, str]:
        """Whether the layer of that path can be factored, and why it stays as it is."""
        layer = model.get_submodule(path)
        if self.form == "formula":
            return True, ""
        if not split_layer(model, path, layer, tied(model)):
            return False, "it is no linear layer or convolution in one group with a weight of its own"
        m, n = matrix(cast("Tensor", layer.weight)).shape
        most = -(-m * n // (m + n)) - 1
        return most > 0, f"two factors would be no smaller: they pay up to rank {most} of {min(m, n)}"

    @torch.no_grad()
    def _project(self, model: nn.Module, context: Context) -> nn.Module:
        new: dict[nn.Parameter, Tensor] = {}
        for name, parameter in weights(model):
            context.channel.check()
            w = parameter.detach()
            rank = rank_of(self.number("rank"), w)
            if rank < min(matrix(w).shape):
                basis = context.once(("right_basis", name), partial(right_basis, w))[:, :rank]  # n, r
                new[parameter] = (matrix(w) @ basis @ basis.T).view_as(w)
        replace_parameters(model, new)
        return model

    @torch.no_grad()
    def _factor(self, model: nn.Module, context: Context) -> nn.Module:
        twice = tied(model)
        layers = [(path, m) for path, m in model.named_modules() if split_layer(model, path, m, twice)]
        if not layers:
            raise self.cannot(
                "must find linear layers or convolutions in one group, got none in {model}", model=context.name
            )
        for place, (path, layer) in enumerate(layers):
            context.channel.check()
            weight = cast("Tensor", layer.weight).detach()
            rank, (m, n) = rank_of(self.number("rank"), weight), matrix(weight).shape
            if rank * (m + n) < m * n:
                basis = context.once(("right_basis", f"{path}.weight"), partial(right_basis, weight))
                order = drawn(basis.shape[1], context.seed, place).argsort().to(basis.device)
                basis = basis[:, order[:rank]] if self.form == "random" else basis[:, :rank]
                if layer is model:
                    return factored(layer, basis)
                replace_module(model, path, factored(layer, basis))
        return model


def rank_of(share: float, weight: Tensor) -> int:
    """max(1, round(share · min(m, n))) of a weight (m, ...) taken as a matrix m × n."""
    return max(1, round(share * min(matrix(weight).shape)))
