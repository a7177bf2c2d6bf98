"""Weight clipping: every weight loses a constant of its size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.coefficient import Coefficient
from engine.edit.surgery import by_blocks, map_weights
from engine.form import Effect, Form
from engine.method import Context, Method

ALPHA = Coefficient("alpha", "real", 0.05, "What each weight's size loses, or must be above.", 0.0, 3.0)
LIMIT = Coefficient("limit", "real", 2.0, "The size above which no weight stays.", 0.0, 10.0)
SCALE = Coefficient(
    "scale",
    "choice",
    "absolute",
    "Whether alpha or limit is taken as it is, or times the standard deviation of each layer's weights.",
    choices=("absolute", "std"),
)


class WeightClipping(Method):
    """Shrink every weight by a constant.

    formula          W_new = W − α·sign(W): flips the sign of every weight with 0 < |w| < α; makes no zeros
    soft_threshold   W_new = sign(W)·max(|W| − α, 0): the same where |w| > α, and zero elsewhere; the x for which
                     ½(x − w)² + α|x| is least
    hard_threshold   W_new = W·[|W| > α]: what is larger stays as it is; the x for which ½(x − w)² + ½α²·[x ≠ 0] is
                     least
    group_threshold  W_new = w·max(1 − α·√n / |w|_2, 0) for all n weights w of a node together: a node goes whole; the x
                     for which ½|x − w|² + α·√n·|x|_2 is least
    clamp            W_new = min(max(W, −c), c): large weights shrink, and no zero is made for c > 0

    alpha   in units of W (scale "absolute"), or of each layer's standard deviation (scale "std"), 0 to 3
    limit   c, in the same units, 0 to 10
    scale   "absolute" or "std"

    Acts on each weight tensor of two or more dimensions, of any shape; biases and norms stay.
    Raises nothing: any such tensor can be clipped.
    Source: the project's source document, formula 1; soft threshold: Donoho, De-noising by soft-thresholding,
    IEEE Trans. Inf. Theory 41 (1995); hard threshold: Donoho and Johnstone, Biometrika 81 (1994); groups: Yuan and Lin,
    J. R. Statist. Soc. B 68 (2006).
    """

    name = "weight_clipping"
    title = "Weight clipping"
    family = "compression"
    coefficients = (ALPHA, LIMIT, SCALE)
    forms = (
        Form(
            "formula",
            ("alpha", "scale"),
            Effect(frozenset({"values"})),
            r"W_{new} = W - \alpha \cdot \operatorname{sign}(W)",
            "Shrinks by a constant. A weight smaller than alpha changes its sign instead of becoming zero.",
            "Source document, formula 1",
            neutral={"alpha": 0.0},
        ),
        Form(
            "soft_threshold",
            ("alpha", "scale"),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"alpha": ("nonzero", -1)}),
            r"W_{new} = \operatorname{sign}(W) \cdot \max(|W| - \alpha,\ 0)",
            "Shrinks by a constant and stops at zero.",
            "Donoho 1995",
            neutral={"alpha": 0.0},
        ),
        Form(
            "hard_threshold",
            ("alpha", "scale"),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"alpha": ("nonzero", -1)}),
            r"W_{new} = W \cdot [\,|W| > \alpha\,]",
            "Small weights become zero, the others stay as they are.",
            "Donoho and Johnstone 1994",
            neutral={"alpha": 0.0},
        ),
        Form(
            "group_threshold",
            ("alpha", "scale"),
            Effect(frozenset({"values"}), makes_zeros=True, monotone={"alpha": ("nonzero", -1)}),
            r"w_{new} = w \cdot \max\big(1 - \alpha \sqrt{n} / \lVert w \rVert_2,\ 0\big)",
            "All weights of a node shrink together, and a weak node goes whole.",
            "Yuan and Lin 2006",
            neutral={"alpha": 0.0},
        ),
        Form(
            "clamp",
            ("limit", "scale"),
            Effect(frozenset({"values"}), makes_zeros=True),
            r"W_{new} = \min(\max(W, -c),\ c)",
            "No weight is larger than the limit.",
            "Common practice",
        ),
    )
    default_form = "soft_threshold"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with every weight clipped."""
        clip, size = CLIPS[self.form], self.number("limit" if self.form == "clamp" else "alpha")

        def clipped(name: str, weight: Tensor) -> Tensor:
            limit = size * self._unit(name, weight, context)
            if self.form == "group_threshold":  # its numbers hang together
                return clip(weight, limit)
            return by_blocks(lambda part: clip(part, limit), weight)

        map_weights(model, clipped)
        return model

    def _unit(self, name: str, weight: Tensor, context: Context) -> float:
        if self.word("scale") == "absolute":
            return 1.0
        return context.once(("std", name), lambda: float(weight.std(correction=0)))


def clip_by_formula(weight: Tensor, alpha: float) -> Tensor:
    """W − α·sign(W), same shape."""
    return torch.sub(weight, weight.sign(), alpha=alpha)


def soft_threshold(weight: Tensor, alpha: float) -> Tensor:
    """sign(W)·max(|W| − α, 0), same shape."""
    return F.softshrink(weight, alpha)


def hard_threshold(weight: Tensor, alpha: float) -> Tensor:
    """W·[|W| > α], same shape."""
    return F.hardshrink(weight, alpha)


def group_threshold(weight: Tensor, alpha: float) -> Tensor:
    """w·max(1 − α·√n / |w|_2, 0) for the n weights w of each node, the first axis: same shape."""
    rows = weight.flatten(1)
    size = rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    shrunk: Tensor = rows * (1 - alpha * rows.shape[1] ** 0.5 / size).clamp_min(0)
    return shrunk.view_as(weight)


def clamp(weight: Tensor, limit: float) -> Tensor:
    """min(max(W, −c), c), same shape."""
    return weight.clamp(-limit, limit)


CLIPS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "formula": clip_by_formula, "soft_threshold": soft_threshold, "hard_threshold": hard_threshold,
    "group_threshold": group_threshold, "clamp": clamp,
}  # fmt: skip
