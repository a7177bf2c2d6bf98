"""Layer pruning: whole blocks are taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from engine.coefficient import count, fraction
from engine.edit.blocks import Block, around, find_blocks
from engine.edit.scores import block_influence, drawn, lowest, removed_of
from engine.edit.surgery import skip_module, structural_copy
from engine.examples import batches_of
from engine.examples import count as count_of
from engine.form import Effect, Form
from engine.method import Alone, Context, Method
from engine.metrics.layers import within

ALPHA = fraction("alpha", 0.3, "The share of the layers that is taken out.", below=True, counts="layers")
AMOUNT = fraction("amount", 0.3, "The share of the layers that is taken out.", below=True, counts="layers")
EXAMPLES = count("examples", 256, "Training examples on which the layers are judged.", 1, 4096)


class LayerPruning(Method):
    """Take layers out, so that each one's input becomes its output.

    formula           L_new = L − α·|L|: the last round(α · L) layers go
    block_influence   the round(amount · L) layers go that turn their input least: 1 − E cos(x_l, x_{l+1})
    random            round(amount · L) layers go that are drawn by the seed: the baseline

    alpha, amount   share of the layers, 0 up to below 1
    examples        training examples on which the influence is taken, 1 to 4,096

    A layer is the outermost module that holds weights, runs once, and gives a tensor of the shape that it got; at
    least one stays. Raises CannotApply where the model has none.
    Source: the project's source document, formula 4; block influence: Men et al., ShortGPT, arXiv 2403.03853.
    """

    name = "layer_pruning"
    title = "Layer pruning"
    family = "pruning"
    coefficients = (ALPHA, AMOUNT, EXAMPLES)
    forms = (
        Form(
            "formula",
            ("alpha",),
            Effect(frozenset({"modules"}), monotone={"alpha": ("parameters", -1)}),
            r"L_{new} = L - \alpha \cdot |L|",
            "The last layers go.",
            "Source document, formula 4",
            neutral={"alpha": 0.0},
            baseline="random",
        ),
        Form(
            "block_influence",
            ("amount", "examples"),
            Effect(frozenset({"modules"})),
            r"\mathrm{BI}_l = 1 - \mathbb{E}\,\cos(x_l,\ x_{l+1})",
            "The layers go that change the direction of their input least.",
            "Men et al. 2024, arXiv 2403.03853",
            neutral={"amount": 0.0},
            needs=frozenset({"data"}),
            baseline="random",
        ),
        Form(
            "random",
            ("amount",),
            Effect(frozenset({"modules"})),
            r"L_{new} = L - \alpha \cdot |L|,\quad \text{by lot}",
            "Layers go by lot: what choosing is worth is the distance from here.",
            "Baseline",
            neutral={"amount": 0.0},
        ),
    )
    default_form = "block_influence"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with layers taken out."""
        blocks = self._blocks(model, context)
        if not blocks:
            raise self.cannot(
                "must find layers whose input and output shapes agree, got none in {model}", model=context.name
            )
        if self.form == "formula":
            goes = removed_of(self.number("alpha"), len(blocks))
            chosen = list(range(len(blocks) - goes, len(blocks)))
        else:
            chosen = lowest(self._scores(model, blocks, context), removed_of(self.number("amount"), len(blocks)))
        for place in chosen:
            skip_module(model, blocks[place].path)
        return model

    def one_by_one(self, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone]:
        """Each block taken out alone, with all the layers in it."""
        blocks = [block.path for block in self._blocks(model, context)]
        for block in blocks:
            copied = structural_copy(model)
            skip_module(copied, block)
            yield Alone(tuple(path for path in layers if within(path, block)), copied)
        for path in layers:
            if not any(within(path, block) for block in blocks):
                yield Alone((path,), None, False, "it lies in no layer whose input and output shapes agree")

    def things(self, model: nn.Module, context: Context) -> int | None:
        """How many layers can be taken out, all of them counted."""
        return len(self._blocks(model, context))

    def _blocks(self, model: nn.Module, context: Context) -> list[Block]:
        return context.once("blocks", lambda: find_blocks(model, context.examples(2)))

    def _scores(self, model: nn.Module, blocks: list[Block], context: Context) -> Tensor:
        if self.form == "random":
            return drawn(len(blocks), context.seed)
        key = ("block_influence", self.whole("examples"))
        return context.once(key, lambda: self._influence(model, blocks, context))

    def _influence(self, model: nn.Module, blocks: list[Block], context: Context) -> Tensor:
        sums = dict.fromkeys((b.path for b in blocks), 0.0)
        kinds = {b.path: b.convolutional for b in blocks}
        inputs = context.examples(self.whole("examples"))

        def visit(path: str, before: Tensor, after: Tensor) -> None:
            sums[path] += float(block_influence(before, after, per_place=not kinds[path])) * len(before)

        for batch, _ in batches_of((inputs, inputs), 256):
            context.channel.check()
            around(model, list(sums), batch, visit)
        return torch.tensor([sums[b.path] / count_of(inputs) for b in blocks], dtype=torch.float64)
