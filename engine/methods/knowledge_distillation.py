"""Knowledge distillation: the smaller model learns from the larger one's outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.coefficient import Coefficient, fraction
from engine.edit.fresh import draw_anew
from engine.edit.hints import captured, feature_distance, find_hints, projections
from engine.edit.training import BATCH_SIZE, KEEP_ZEROS, LEARNING_RATE, STEPS, Loss, Schedule, adamw, train
from engine.examples import Inputs, main_tensor, run
from engine.form import Effect, Form
from engine.method import Context, Method

TEMPERATURE = Coefficient("temperature", "real", 4.0, "How far the outputs are softened.", 0.1, 50.0, scale="log")
SOFT = fraction("soft_share", 0.9, "The weight of the teacher's outputs in the loss; the rest is for the targets.")
FEATURES = fraction("feature_share", 0.5, "The weight of the hidden layers in the loss; the rest is for the outputs.")
STUDENT = Coefficient(
    "student", "choice", "as_left", "Whether the student is what the earlier steps left, or has newly drawn weights.",
    choices=("as_left", "fresh"),
)  # fmt: skip
TRAINING = ("steps", "learning_rate", "batch_size", "keep_zeros", "student")
NEEDS = frozenset({"data", "original", "training"})
CHANGES = Effect(frozenset({"values"}), keeps_zeros=False)


class KnowledgeDistillation(Method):
    """Train the model on the outputs of the original: as the earlier steps left it, or with newly drawn weights.

    formula    L = 1/N Σ (y_small − y_large)²: the mean squared difference of the outputs
    softened   L = s·T²·KL(softmax(y_large / T) ‖ softmax(y_small / T)) + (1 − s)·CE(y_small, target)
    features   L = r·1/K Σ_k E(P_k·h_k − H_k)² / E H_k² + (1 − r)·1/N Σ (y_small − y_large)²: h_k and H_k are what K
               layers inside the small and the large model give, P_k matrices that are trained along and thrown away

    steps           0 to 10,000
    learning_rate   of AdamW, 1e-6 to 1
    batch_size      examples a step, 1 to 65,536
    temperature     T, 0.1 to 50
    soft_share      s, 0 to 1
    feature_share   r, 0 to 1
    keep_zeros      "yes": zeros among the weights of two or more dimensions are put back after every step
    student         "as_left" by the earlier steps, or "fresh": the same layers with weights drawn by the seed, of which
                    those that were zero are zero where keep_zeros says so; the honest comparison

    Outputs (n, ..., classes). The layers of features are at most four of the original's blocks, or where the model
    has none of them any more, of its layers with weights; P_k starts as the identity where both are equally wide.
    Raises CannotApply where softened is asked for outputs that are not class scores, features for models that have no
    such layer in common, and fresh for a layer that nobody knows how to draw; BrokenVariant where the weights become
    infinite, Cancelled.
    Source: the project's source document, formula 3; softened: Hinton et al., Distilling the knowledge in a neural
    network, arXiv 1503.02531; features: Romero et al., FitNets, arXiv 1412.6550.
    """

    name = "knowledge_distillation"
    title = "Knowledge distillation"
    family = "compression"
    coefficients = (STEPS, LEARNING_RATE, BATCH_SIZE, TEMPERATURE, SOFT, FEATURES, KEEP_ZEROS, STUDENT)
    forms = (
        Form(
            "formula",
            TRAINING,
            CHANGES,
            r"L = \tfrac{1}{N} \sum_{i=1}^{N} (y_{small} - y_{large})^2",
            "The small model's outputs are drawn towards the large one's.",
            "Source document, formula 3",
            neutral={"steps": 0},
            needs=NEEDS,
        ),
        Form(
            "softened",
            (*TRAINING, "temperature", "soft_share"),
            CHANGES,
            r"L = s\,T^2\,\mathrm{KL}(p^T_{large} \Vert p^T_{small}) + (1{-}s)\,\mathrm{CE}",
            "The small model learns the large one's softened probabilities, and the targets.",
            "Hinton et al. 2015, arXiv 1503.02531",
            neutral={"steps": 0},
            needs=NEEDS,
        ),
        Form(
            "features",
            (*TRAINING, "feature_share"),
            CHANGES,
            r"L = \tfrac{r}{K} \sum_{k} \frac{\mathbb{E}(P_k h_k - H_k)^2}{\mathbb{E} H_k^2}"
            r" + (1{-}r)\,\mathbb{E}(y_{small} - y_{large})^2",
            "The small model's hidden layers, seen through a matrix, are drawn towards the large one's.",
            "Romero et al. 2014, arXiv 1412.6550",
            neutral={"steps": 0},
            needs=NEEDS,
        ),
    )
    default_form = "softened"

    @property
    def neutral(self) -> bool:
        """Whether the model stays as it is: a fresh one does not, even where no step follows."""
        return super().neutral and self.word("student") == "as_left"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The student after its gradient steps; the original is the teacher."""
        if self.form == "softened" and context.task.class_axis is None:
            raise self.cannot(
                "must have class scores to soften, got the task {task} without class_axis: use the form formula",
                task=context.task.name,
            )
        if self.word("student") == "fresh":
            unknown = draw_anew(model, context.seed, self.word("keep_zeros") == "yes")
            if unknown:
                key = "must know how to draw every layer's weights anew, got {layer}: give its module reset_parameters"
                raise self.cannot(key, layer=unknown)
        if self.form == "features":
            return self._by_features(model, context)
        return self._trained(model, context, self._by_outputs(context), nn.ModuleList())

    def _trained(self, model: nn.Module, context: Context, loss: Loss, along: nn.Module) -> nn.Module:
        """The model after its steps. along: what is trained with it."""
        schedule = Schedule(self.whole("steps"), self.whole("batch_size"), self.word("keep_zeros") == "yes")

        def optimizer(student: nn.Module) -> torch.optim.Optimizer:
            return adamw(nn.ModuleList([student, along]), self.number("learning_rate"), schedule.steps)

        return train(model, context, loss, optimizer, schedule)

    def _by_outputs(self, context: Context) -> Loss:
        axis = context.task.class_axis

        def loss(outputs: Any, inputs: Inputs, targets: Any) -> Tensor:
            taught = _taught(context, inputs)
            small, large = (y if axis is None else y.movedim(axis, -1) for y in (main_tensor(outputs), taught))
            if self.form == "formula":
                return mean_squared_difference(small, large)
            share, hard = self.number("soft_share"), context.task.loss(outputs, targets)
            return share * softened_divergence(small, large, self.number("temperature")) + (1 - share) * hard

        return loss

    def _by_features(self, model: nn.Module, context: Context) -> nn.Module:
        hints = find_hints(model, context.original, context.examples(2))
        if not hints:
            raise self.cannot("must find layers inside both models, got none in {model}", model=context.name)
        across = projections(hints, next(model.parameters()), context.seed)
        share = self.number("feature_share")
        small, large = [hint.small for hint in hints], [hint.large for hint in hints]
        with captured(model, small) as given, captured(context.original, large) as wanted:

            def loss(outputs: Any, inputs: Inputs, targets: Any) -> Tensor:
                taught = _taught(context, inputs)
                hidden = feature_distance(hints, across, given, wanted)
                return share * hidden + (1 - share) * mean_squared_difference(main_tensor(outputs), taught)

            return self._trained(model, context, loss, across)


@torch.no_grad()
def _taught(context: Context, inputs: Inputs) -> Tensor:
    return main_tensor(run(context.original, inputs))


def mean_squared_difference(small: Tensor, large: Tensor) -> Tensor:
    """1/N Σ (y_small − y_large)² over all outputs (n, ...): a scalar."""
    return (small - large).square().mean()


def softened_divergence(small: Tensor, large: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(y_large / T) ‖ softmax(y_small / T)), the mean over all rows of outputs (n, ..., classes)."""
    rows = small.flatten(0, -2).shape[0]
    given = F.log_softmax(small / temperature, dim=-1)
    wanted = F.log_softmax(large / temperature, dim=-1)
    return F.kl_div(given, wanted, reduction="sum", log_target=True) / rows * temperature**2
