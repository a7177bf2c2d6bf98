"""Recipes to start from: each shows one thing."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_MODEL = "fashion_resnet"


@dataclass(frozen=True)
class Start:
    """A recipe with the coefficient to move, and what it shows."""

    title: str
    shows: str
    recipe: list[list[object]]
    vary: tuple[int, str] | None = None


RECIPES = (
    Start(
        "Drop the smallest weights",
        "Half of the weights can go unnoticed. The model is not faster: zeros are multiplied like other numbers.",
        [["weight_pruning", {"form": "magnitude_global", "amount": 0.5}]],
        (0, "amount"),
    ),
    Start(
        "Pruning by the formula",
        "W − α·|W| makes no zeros: it shrinks positive weights and lets negative ones grow.",
        [["weight_pruning", {"form": "formula", "alpha": 0.1}]],
        (0, "alpha"),
    ),
    Start(
        "Clipping by the formula",
        "W − α·sign(W) turns small weights round: look at the transfer curve below.",
        [["weight_clipping", {"form": "formula", "alpha": 0.3, "scale": "std"}]],
        (0, "alpha"),
    ),
    Start(
        "Clipping to zero",
        "The soft threshold stops at zero: small weights vanish instead of changing sign.",
        [["weight_clipping", {"form": "soft_threshold", "alpha": 0.2, "scale": "std"}]],
        (0, "alpha"),
    ),
    Start(
        "Take layers out",
        "The layers go first that change their input least.",
        [["layer_pruning", {"form": "block_influence", "amount": 0.3}]],
        (0, "amount"),
    ),
    Start(
        "Narrow every layer",
        "Fewer nodes in every layer make a smaller and faster model; accuracy falls at once.",
        [["node_pruning", {"form": "group_norm", "amount": 0.2}]],
        (0, "amount"),
    ),
    Start(
        "Narrow, then repair",
        "Each layer is solved for what it gave before: no training, and most of the accuracy is back.",
        [["node_pruning", {"form": "group_norm", "amount": 0.5}], ["repair", {"form": "least_squares"}]],
        (0, "amount"),
    ),
    Start(
        "Narrow, then train on",
        "A hundred steps of training bring most of the accuracy back.",
        [
            ["node_pruning", {"form": "group_norm", "amount": 0.4}],
            ["parameter_optimization", {"form": "adamw", "steps": 100, "learning_rate": 0.002}],
        ],
        (1, "steps"),
    ),
    Start(
        "Narrow, then distil",
        "The narrowed model learns from the outputs of the original.",
        [
            ["node_pruning", {"form": "group_norm", "amount": 0.4}],
            ["knowledge_distillation", {"form": "softened", "steps": 100, "learning_rate": 0.002}],
        ],
        (1, "steps"),
    ),
    Start(
        "Lower the rank",
        "Two thin layers in place of one: smaller below the break-even rank, and not always faster.",
        [["structure_optimization", {"form": "low_rank", "rank": 0.4}]],
        (0, "rank"),
    ),
    Start(
        "W·A by the formula",
        "The rank falls, the number of parameters does not.",
        [["structure_optimization", {"form": "formula", "rank": 0.5}]],
        (0, "rank"),
    ),
)
