"""Structure optimisation: a weight matrix times a matrix of lower rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, fraction
from engine.edit.absorbing import absorb, direct_pairs
from engine.edit.calibration import EXAMPLES
from engine.edit.cuts import Cut, Cuts
from engine.edit.factors import as_matrix, matrix, split_layers, why_not_split
from engine.edit.ranks import Curve, break_even, budget_ranks, most_saved, normalised, rank_of
from engine.edit.spectra import singular
from engine.edit.surgery import replace_module, replace_parameters, tied, weights
from engine.form import Effect, Form
from engine.method import Context, Method

RANK = fraction(
    "rank", 0.5, "The rank that each weight matrix keeps, as a share of its full rank. Factors pay below m·n / (m + n)."
)
SCHEME = Coefficient(
    "scheme",
    "choice",
    "kernel",
    "How a convolution is split: the whole kernel first, half of its axes each, or what is smaller at equal energy.",
    choices=("kernel", "separable", "best"),
)
ENERGY = fraction("energy", 0.9, "The share of the squared singular values that each weight matrix keeps.")
AMOUNT = fraction("amount", 0.3, "The share of the model's parameters that goes.", below=True)
METRIC = Coefficient(
    "metric",
    "choice",
    "model",
    "Where what is lost is looked at: in the weights, in each layer's outputs, or in the model's outputs.",
    choices=("weights", "layer", "model"),
)
RIDGE = Coefficient(
    "ridge", "real", 10.0, "How much the weights themselves count beside what the layer is given.", 1e-8, 100.0,
    scale="log",
)  # fmt: skip

FORMS = (
    ("low_rank", ("rank", "scheme"), ("rank", 1.0, 1),
     r"W \approx B_{m \times r}\, C_{r \times n},\quad r < \tfrac{m n}{m + n}",
     "Each layer becomes two thin ones, where that is smaller.",
     "Eckart and Young 1936; Zhang et al. 2015, arXiv 1505.06798; Jaderberg et al. 2014, arXiv 1405.3866", "random"),
    ("energy", ("energy", "metric", "examples"), ("energy", 1.0, 1),
     r"r = \min \Big\{ r : \sum_{i \le r} \sigma_i^2 \ge e \sum_i \sigma_i^2 \Big\}",
     "Each layer keeps as many directions as hold that share of its energy.", "Eckart and Young 1936", ""),
    ("budget", ("amount", "metric", "examples"), ("amount", 0.0, -1),
     r"\min_{r_1, r_2, \dots} \sum_l \sum_{i > r_l} \sigma_{l,i}^2 \quad \text{at so many parameters}",
     "The ranks of all layers are chosen together, so that least is lost for the parameters that go.",
     "Martens and Grosse 2015, arXiv 1503.05671; Wang et al. 2024, arXiv 2403.07378", ""),
    ("whitened", ("rank", "examples", "ridge"), ("rank", 1.0, 1),
     r"W \approx U_r \Sigma_r V_r^{\top} S^{-1},\quad W S = U \Sigma V^{\top},\; S S^{\top} = \mathbb{E}[x x^{\top}]",
     "The two thin layers whose outputs are nearest, on what each layer is given.",
     "Wang et al. 2024, arXiv 2403.07378", "random"),
    ("rotated", ("rank", "examples"), ("rank", 1.0, 1),
     r"W x \approx (W Q_r)\, Q_r^{\top} x,\quad \mathbb{E}[x x^{\top}] = Q \Lambda Q^{\top}",
     "What a layer is given is turned to its principal axes, and of those the first ones stay.",
     "Ashkboos et al. 2024, arXiv 2401.15024", ""),
    ("random", ("rank", "scheme"), ("rank", 1.0, 1),
     r"W \approx B_{m \times r}\, C_{r \times n},\quad \text{directions by lot}",
     "Two thin layers from directions drawn by lot: what choosing is worth is the distance from here.", "Baseline", ""),
)  # fmt: skip


def _form(name: str, coefficients: tuple[str, ...], size: tuple[str, float, int], *words: str) -> Form:
    latex, summary, source, baseline = words
    knob, still, sign = size
    changes = {"modules"} if name in ("low_rank", "random") else {"modules", "values"}
    effect = Effect(
        frozenset(changes | {"shapes"} if name == "rotated" else changes),
        keeps_zeros=False, makes_zeros=True, monotone={knob: ("parameters", 1 if sign > 0 else -1)},
    )  # fmt: skip
    needs = frozenset({"data"} if "examples" in coefficients else ())
    return Form(name, coefficients, effect, latex, summary, source, {knob: still}, needs, baseline)


class StructureOptimization(Method):
    """Lower the rank of the weight matrices.

    formula    W_new = W·A with A = V_r·V_rᵀ, the projection on the first r right singular vectors of W: the rank
               falls, the number of parameters does not
    low_rank   W ≈ B·C, two layers (m × r) and (r × n) from the same singular vectors
    energy     the same with the lowest r at which Σ_{i ≤ r} σ_i² is the share `energy`, 0 to 1, of Σ σ_i² of each layer
    budget     the same with ranks for which Σ σ_i² of all that goes, over all layers, is least: round(amount · all
               parameters of the model) go, and by the last rank's worth more
    whitened   the B·C of rank r with the least E|(W − B·C)·x|² + λ·|W − B·C|², λ = ridge · mean(diag(A)), from the
               singular vectors of W·S, S·Sᵀ = A + λ·1, A = E[x·xᵀ] of what the layer is given: what is lost is Σ σ_i²
    rotated    W·Q_r and Q_rᵀ, Q the principal axes of E[x·xᵀ]; where a layer alone reads another's outputs, with
               nothing between them, the other takes up Q_rᵀ and there are as few nodes instead of one layer more
    random     low_rank with r of the singular vectors drawn by the seed: the baseline

    rank       share of min(m, n), 0 to 1; r = max(1, round(rank · min(m, n)))
    scheme     of a convolution: "kernel", all of it to r channels, then one of size 1; "separable", the first half of
               the kernel's axes (of one axis: none), then the others; "best", of both the smaller at equal energy
    amount     share of the model's parameters, 0 up to below 1
    metric     what σ are the singular values of: "weights", of W; "layer", of W·S; "model", of H^(1/2)·W·S with
               H = E[Σ JᵀJ], J the Jacobian of the model's outputs by the layer's: what the model's outputs lose, to
               second order. The last is one unit for all layers; of the others each layer's share counts in `budget`
    examples   training examples, drawn by the seed, 1 to 100,000
    ridge      1e-8 to 100, without a unit

    Break-even: a layer m × n is split only where r·(m + n) < m·n, else it stays as it is. With a bias, x is taken
    about its mean, and the bias keeps the mean of the outputs. formula acts on each weight tensor of two or more
    dimensions, taken as a matrix (outputs, rest); the others on linear layers, Conv1D of transformers among them, and
    on convolutions in one group; those in several groups and tied weights stay. A layer whose inputs are not known is
    cut by its weights alone, and by `budget` not at all. Raises CannotApply where there is no such layer, or where
    even ranks of 1 save less than `budget` asks for.
    Source: the project's source document, formula 6; truncation: Eckart and Young, Psychometrika 1 (1936); for
    convolutions: Zhang et al., arXiv 1505.06798; Jaderberg et al., arXiv 1405.3866; whitened: Wang et al., SVD-LLM,
    arXiv 2403.07378; H: Martens and Grosse, arXiv 1503.05671; rotated: Ashkboos et al., SliceGPT, arXiv 2401.15024.
    """

    name = "structure_optimization"
    title = "Structure optimisation"
    family = "optimization"
    coefficients = (RANK, SCHEME, ENERGY, AMOUNT, METRIC, EXAMPLES, RIDGE)
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
        *(_form(*row) for row in FORMS),
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
        if why := why_not_split(model, path, layer, tied(model)):
            return False, why
        shape = as_matrix(layer, "separable" if self.values.get("scheme") == "separable" else "kernel").shape
        most = break_even(shape)
        if self.form == "budget" and most:
            return True, f"the others save enough; of it, two factors pay up to rank {most} of {min(shape)}"
        return most > 0, f"two factors would be no smaller: they pay up to rank {most} of {min(shape)}"

    @torch.no_grad()
    def _project(self, model: nn.Module, context: Context) -> nn.Module:
        new: dict[nn.Parameter, Tensor] = {}
        for name, parameter in weights(model):
            context.channel.check()
            w = parameter.detach()
            rank = rank_of(self.number("rank"), matrix(w).shape)
            if rank < min(matrix(w).shape):
                one = context.once(("of a tensor", name), partial(singular, matrix(w)))
                new[parameter] = (one.outer[:, :rank] @ one.inner[:rank]).to(w.dtype).view_as(w)
        replace_parameters(model, new)
        return model

    @torch.no_grad()
    def _factor(self, model: nn.Module, context: Context) -> nn.Module:
        layers = split_layers(model, tied(model))
        if not layers:
            raise self.cannot(
                "must find linear layers or convolutions in one group, got none in {model}", model=context.name
            )
        known = Cuts(model, layers, context, self.whole("examples") if "examples" in self.values else 0)
        if self.form == "rotated":
            pairs = context.once("direct pairs", partial(direct_pairs, model, context))
            sliced = absorb(model, pairs, known.given, self.number("rank"))
            layers = {path: layer for path, layer in layers.items() if path not in sliced}
        cuts = self._by_budget(model, known) if self.form == "budget" else self._each(known, layers)
        for path, cut in cuts.items():
            context.channel.check()
            if cut.pays:
                if not path:
                    return cut.of(layers[path])
                replace_module(model, path, cut.of(layers[path]))
        return model

    def _each(self, known: Cuts, paths: Iterable[str]) -> dict[str, Cut]:
        """Each layer by itself."""
        cuts = {}
        for place, path in enumerate(paths):
            known.context.channel.check()
            if self.form in ("low_rank", "random"):
                cut = known.by_share(path, self.word("scheme"), self.number("rank"))
                cuts[path] = known.by_lot(cut, place) if self.form == "random" else cut
                continue
            if self.form == "rotated":
                found = known.all_axes(path)
            elif self.form == "whitened":
                found = known.all_directions(path, "layer", self.number("ridge"))
            else:
                found = known.for_outputs(path, self.word("metric"))
            cut = found or cast("Cut", known.all_directions(path, "weights"))
            is_share = "rank" in self.values
            cuts[path] = cut.to_share(self.number("rank")) if is_share else cut.to_energy(self.number("energy"))
        return cuts

    def _by_budget(self, model: nn.Module, known: Cuts) -> dict[str, Cut]:
        """All layers together."""
        metric, cuts, curves = self.word("metric"), {}, {}
        for path in known.layers:
            known.context.channel.check()
            if (cut := known.for_outputs(path, metric)) is not None:
                energy = cut.spectrum.energy
                cuts[path] = cut
                curves[path] = Curve.of(cut.shape, energy if metric == "model" else normalised(energy))
        total = sum(p.numel() for p in model.parameters())
        wanted, most = round(self.number("amount") * total), most_saved(curves)
        if wanted > most:
            raise self.cannot(
                "must save at most {most} of the {total} parameters of {model} ({share:.0%}), which rank 1 in each "
                "layer saves, got {wanted}",
                most=most, total=total, model=known.context.name, share=most / total, wanted=wanted,
            )  # fmt: skip
        return {path: replace(cuts[path], rank=rank) for path, rank in budget_ranks(curves, wanted).items()}
