"""Weight clipping: every weight loses a constant of its size."""

from __future__ import annotations

from torch import Tensor, nn

from engine.coefficient import Coefficient
from engine.edit.surgery import map_weights
from engine.form import Effect, Form
from engine.method import Context, Method

ALPHA = Coefficient("alpha", "real", 0.05, "What each weight's size loses.", 0.0, 3.0)
SCALE = Coefficient(
    "scale",
    "choice",
    "absolute",
    "Whether alpha is taken as it is, or times the standard deviation of each layer's weights.",
    choices=("absolute", "std"),
)


class WeightClipping(Method):
    """Shrink every weight by a constant.

    formula          W_new = W − α·sign(W): flips the sign of every weight with 0 < |w| < α; makes no zeros
    soft_threshold   W_new = sign(W)·max(|W| − α, 0): the same where |w| > α, and zero elsewhere

    alpha   in units of W (scale "absolute"), or of each layer's standard deviation (scale "std"), 0 to 3
    scale   "absolute" or "std"

    Acts on each weight tensor of two or more dimensions, of any shape; biases and norms stay.
    Raises nothing: any such tensor can be clipped.
    Source: the project's source document, formula 1; soft threshold: Donoho, De-noising by soft-thresholding,
    IEEE Trans. Inf. Theory 41 (1995).
    """

    name = "weight_clipping"
    title = "Weight clipping"
    family = "compression"
    coefficients = (ALPHA, SCALE)
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
    )
    default_form = "soft_threshold"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with every weight clipped."""
        clip = clip_by_formula if self.form == "formula" else soft_threshold
        return map_weights(model, lambda w: clip(w, self.number("alpha") * self._unit(w)))

    def _unit(self, weight: Tensor) -> float:
        return 1.0 if self.word("scale") == "absolute" else float(weight.std(correction=0))


def clip_by_formula(weight: Tensor, alpha: float) -> Tensor:
    """W − α·sign(W), same shape."""
    return weight - alpha * weight.sign()


def soft_threshold(weight: Tensor, alpha: float) -> Tensor:
    """sign(W)·max(|W| − α, 0), same shape."""
    return weight.sign() * (weight.abs() - alpha).clamp_min(0)
