"""Weight pruning: the smallest weights become zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, fraction
from engine.edit.scores import drawn, magnitude_masks
from engine.edit.surgery import map_weights, replace_parameters, weights
from engine.form import Effect, Form
from engine.method import Context, Method

ALPHA = Coefficient("alpha", "fraction", 0.5, "The share of each weight's size that is taken away from the weight.")
AMOUNT = fraction("amount", 0.5, "The share of the weights that become zero.", below=True)


class WeightPruning(Method):
    """Set weights to zero.

    formula            W_new = W − α·|W|: positive weights times (1 − α), negative ones times (1 + α); no zeros
                       for 0 < α < 1, and every positive weight is zero at α = 1
    magnitude_global   the round(amount · n) smallest |w| of all n weights of the model become zero
    magnitude_layer    the same in each layer by itself
    random             round(amount · n) weights of each layer, drawn by the seed, become zero: the baseline

    alpha    0 to 1
    amount   share of the weights, 0 up to below 1

    Acts on each weight tensor of two or more dimensions, of any shape; biases and norms stay. By rank, so the counts
    are exact: among equal sizes the earlier weight goes first. Raises nothing: any such tensor can be pruned.
    Source: the project's source document, formula 2; magnitude: Han et al., Learning both weights and connections
    for efficient neural networks, arXiv 1506.02626.
    """

    name = "weight_pruning"
    title = "Weight pruning"
    family = "compression"
    coefficients = (ALPHA, AMOUNT)
    forms = (
        Form(
            "formula",
            ("alpha",),
            Effect(frozenset({"values"}), makes_zeros=True),
            r"W_{new} = W - \alpha \cdot |W|",
            "Positive weights shrink and negative ones grow. No weight becomes zero below alpha = 1.",
            "Source document, formula 2",
            neutral={"alpha": 0.0},
        ),
        Form(
            "magnitude_global",
            ("amount",),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"amount": ("nonzero", -1)}),
            r"w_{new} = w \cdot [\,|w| > t\,]",
            "The smallest weights of the whole model become zero: t is the size below which the amount lies.",
            "Han et al. 2015, arXiv 1506.02626",
            neutral={"amount": 0.0},
            baseline="random",
        ),
        Form(
            "magnitude_layer",
            ("amount",),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"amount": ("nonzero", -1)}),
            r"w_{new} = w \cdot [\,|w| > t_{layer}\,]",
            "The smallest weights of each layer become zero: t is the size below which the amount of the layer lies.",
            "Han et al. 2015, arXiv 1506.02626",
            neutral={"amount": 0.0},
            baseline="random",
        ),
        Form(
            "random",
            ("amount",),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"amount": ("nonzero", -1)}),
            r"w_{new} = w \cdot m,\quad m \sim \{0, 1\}",
            "Weights of each layer become zero by lot: what choosing is worth is the distance from here.",
            "Baseline",
            neutral={"amount": 0.0},
        ),
    )
    default_form = "magnitude_global"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with weights at zero."""
        if self.form == "formula":
            return map_weights(model, lambda w: prune_by_formula(w, self.number("alpha")))
        found = [parameter for _, parameter in weights(model)]
        sizes = [p.detach() for p in found]
        if self.form == "random":
            lots = [drawn(p.numel(), context.seed, i).view(p.shape).to(p.device) for i, p in enumerate(found)]
            sizes = [torch.where(p == 0, 0, lot) for p, lot in zip(sizes, lots, strict=True)]  # no zero goes twice
        masks = magnitude_masks(sizes, self.number("amount"), self.form == "magnitude_global")
        # where(), not a product: a weight that is negative stays exactly what it was, and no zero gets a sign
        zero = torch.zeros(())
        kept = {p: torch.where(mask, p.detach(), zero.to(p)) for p, mask in zip(found, masks, strict=True)}
        replace_parameters(model, dict(kept))
        return model


def prune_by_formula(weight: Tensor, alpha: float) -> Tensor:
    """W − α·|W|, same shape."""
    return weight - alpha * weight.abs()
