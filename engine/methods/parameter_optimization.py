"""Parameter optimisation: gradient steps on the task's own loss."""

from __future__ import annotations

import torch
from torch import nn

from engine.coefficient import Coefficient
from engine.edit.training import (
    BATCH_SIZE,
    KEEP_ZEROS,
    LEARNING_RATE,
    PATIENCE,
    STEPS,
    Schedule,
    adamw,
    task_loss,
    train,
)
from engine.form import Effect, Form
from engine.method import Context, Method

ALPHA = Coefficient("alpha", "real", 0.01, "The size of one step along the gradient.", 0.0, 10.0)
NEEDS = frozenset({"data", "training"})


class ParameterOptimization(Method):
    """Train the model on.

    formula   W_new = W − α·∇L, one plain step at a time: the weights of two or more dimensions, the model as it is
              measured (statistics of normalisation fixed, no dropout)
    adamw     all parameters by AdamW, warmed up over a tenth of the steps, then along a cosine

    alpha           size of a step, 0 to 10
    learning_rate   1e-6 to 1
    steps           0 to 10,000
    batch_size      examples a step, 1 to 65,536; at or above the number of training examples each step uses all
    keep_zeros      "yes": zeros among the weights of two or more dimensions are put back after every step, and what the
                    optimizer remembers of them
    patience        looks at validation, 20 in a training, on at most 1,000 examples, without a better score, or loss
                    where that ties, after which it ends: the best model seen, the start among them, stays. 0 to 100;
                    0: all steps are taken, and the last model stays

    L is the task's loss on the train split. Raises BrokenVariant where the weights become infinite, Cancelled.
    Source: the project's source document, formula 7; AdamW: Loshchilov and Hutter, arXiv 1711.05101.
    """

    name = "parameter_optimization"
    title = "Parameter optimisation"
    family = "optimization"
    coefficients = (ALPHA, LEARNING_RATE, STEPS, BATCH_SIZE, KEEP_ZEROS, PATIENCE)
    forms = (
        Form(
            "formula",
            ("alpha", "steps", "batch_size", "keep_zeros", "patience"),
            Effect(frozenset({"values"}), keeps_zeros=False),
            r"W_{new} = W - \alpha \cdot \nabla_{W} L",
            "Plain gradient steps on the weights.",
            "Source document, formula 7",
            neutral={"alpha": 0.0, "steps": 0},
            needs=NEEDS,
        ),
        Form(
            "adamw",
            ("learning_rate", "steps", "batch_size", "keep_zeros", "patience"),
            Effect(frozenset({"values"}), keeps_zeros=False),
            r"W \leftarrow W - \eta \big( \tfrac{\hat m}{\sqrt{\hat v} + \epsilon} + \lambda W \big)",
            "Fine-tuning of all parameters by AdamW, with warm-up and cosine.",
            "Loshchilov and Hutter 2017, arXiv 1711.05101",
            neutral={"steps": 0},
            needs=NEEDS,
        ),
    )
    default_form = "adamw"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model after its gradient steps."""
        literal = self.form == "formula"
        sizes = self.whole("steps"), self.whole("batch_size")
        keeps = self.word("keep_zeros") == "yes"
        schedule = Schedule(*sizes, keeps, batch_mode=not literal, patience=self.whole("patience"))
        return train(model, context, task_loss(context), self._plain if literal else self._adamw, schedule)

    def _plain(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in model.parameters() if p.dim() >= 2], lr=self.number("alpha"))

    def _adamw(self, model: nn.Module) -> torch.optim.Optimizer:
        return adamw(model, self.number("learning_rate"), self.whole("steps"))
