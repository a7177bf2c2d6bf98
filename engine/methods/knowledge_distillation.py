"""Knowledge distillation: the smaller model learns from the larger one's outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.coefficient import Coefficient, fraction
from engine.edit.training import BATCH_SIZE, KEEP_ZEROS, LEARNING_RATE, STEPS, Schedule, adamw, train
from engine.examples import Inputs, main_tensor, run
from engine.form import Effect, Form
from engine.method import Context, Method

TEMPERATURE = Coefficient("temperature", "real", 4.0, "How far the outputs are softened.", 0.1, 50.0, scale="log")
SOFT = fraction("soft_share", 0.9, "The weight of the teacher's outputs in the loss; the rest is for the targets.")
NEEDS = frozenset({"data", "original", "training"})
CHANGES = Effect(frozenset({"values"}), keeps_zeros=False)


class KnowledgeDistillation(Method):
    """Train the model, as the earlier steps left it, on the outputs of the original.

    formula    L = 1/N Σ (y_small − y_large)²: the mean squared difference of the outputs
    softened   L = s·T²·KL(softmax(y_large / T) ‖ softmax(y_small / T)) + (1 − s)·CE(y_small, target)

    steps           0 to 10,000
    learning_rate   of AdamW, 1e-6 to 1
    batch_size      examples a step, 1 to 65,536
    temperature     T, 0.1 to 50
    soft_share      s, 0 to 1
    keep_zeros      "yes": zeros among the weights of two or more dimensions are put back after every step

    Outputs (n, ..., classes). Raises CannotApply where softened is asked for outputs that are not class scores,
    BrokenVariant where the weights become infinite, Cancelled.
    Source: the project's source document, formula 3; softened: Hinton et al., Distilling the knowledge in a neural
    network, arXiv 1503.02531.
    """

    name = "knowledge_distillation"
    title = "Knowledge distillation"
    family = "compression"
    coefficients = (STEPS, LEARNING_RATE, BATCH_SIZE, TEMPERATURE, SOFT, KEEP_ZEROS)
    forms = (
        Form(
            "formula",
            ("steps", "learning_rate", "batch_size", "keep_zeros"),
            CHANGES,
            r"L = \tfrac{1}{N} \sum_{i=1}^{N} (y_{small} - y_{large})^2",
            "The small model's outputs are drawn towards the large one's.",
            "Source document, formula 3",
            neutral={"steps": 0},
            needs=NEEDS,
        ),
        Form(
            "softened",
            ("steps", "learning_rate", "batch_size", "temperature", "soft_share", "keep_zeros"),
            CHANGES,
            r"L = s\,T^2\,\mathrm{KL}(p^T_{large} \Vert p^T_{small}) + (1{-}s)\,\mathrm{CE}",
            "The small model learns the large one's softened probabilities, and the targets.",
            "Hinton et al. 2015, arXiv 1503.02531",
            neutral={"steps": 0},
            needs=NEEDS,
        ),
    )
    default_form = "softened"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The student after its gradient steps; the original is the teacher."""
        axis = context.task.class_axis
        if self.form == "softened" and axis is None:
            raise self.cannot(
                "must have class scores to soften, got the task {task} without class_axis: use the form formula",
                task=context.task.name,
            )
        teacher = context.original

        def loss(outputs: Any, inputs: Inputs, targets: Any) -> Tensor:
            with torch.no_grad():
                taught = main_tensor(run(teacher, inputs))
            small, large = (y if axis is None else y.movedim(axis, -1) for y in (main_tensor(outputs), taught))
            return self._loss(small, large, context.task.loss(outputs, targets))

        schedule = Schedule(self.whole("steps"), self.whole("batch_size"), self.word("keep_zeros") == "yes")
        return train(model, context, loss, self._adamw, schedule)

    def _loss(self, small: Tensor, large: Tensor, hard: Tensor) -> Tensor:
        if self.form == "formula":
            return mean_squared_difference(small, large)
        share = self.number("soft_share")
        return share * softened_divergence(small, large, self.number("temperature")) + (1 - share) * hard

    def _adamw(self, model: nn.Module) -> torch.optim.Optimizer:
        return adamw(model, self.number("learning_rate"), self.whole("steps"))


def mean_squared_difference(small: Tensor, large: Tensor) -> Tensor:
    """1/N Σ (y_small − y_large)² over all outputs (n, ...): a scalar."""
    return (small - large).square().mean()


def softened_divergence(small: Tensor, large: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(y_large / T) ‖ softmax(y_small / T)), the mean over all rows of outputs (n, ..., classes)."""
    rows = small.flatten(0, -2).shape[0]
    given = F.log_softmax(small / temperature, dim=-1)
    wanted = F.log_softmax(large / temperature, dim=-1)
    return F.kl_div(given, wanted, reduction="sum", log_target=True) / rows * temperature**2
