"""Layer pruning: whole blocks are taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from engine.coefficient import count, fraction
from engine.copying import structural_copy
from engine.edit.blocks import Block, around, find_blocks, take_out
from engine.edit.judging import GreedyOrder
from engine.edit.runs import chains, distances, nearest_runs
from engine.edit.scores import block_influence, drawn, lowest, removed_of
from engine.examples import batches_of
from engine.examples import count as count_of
from engine.form import Effect, Form
from engine.method import Alone, Context, Method
from engine.metrics.layers import within

ALPHA = fraction("alpha", 0.3, "The share of the layers that is taken out.", below=True, counts="layers")
AMOUNT = fraction("amount", 0.3, "The share of the layers that is taken out.", below=True, counts="layers")
EXAMPLES = count("examples", 256, "Examples on which the layers are judged.", 1, 4096)

BY_DATA = (
    ("block_influence", r"\mathrm{BI}_l = 1 - \mathbb{E}\,\cos(x_l,\ x_{l+1})",
     "The layers go that change the direction of their input least.", "Men et al. 2024, arXiv 2403.03853"),
    ("angular_distance", r"d(x_l, x_{l+n}) = \tfrac{1}{\pi}\,\mathbb{E}\,\arccos\cos(x_l,\ x_{l+n})",
     "The layers in a row go that turn their input least together.", "Gromov et al. 2024, arXiv 2403.17887"),
    ("greedy", r"l^{*} = \arg\max_l\ \mathrm{score}(L \setminus \{l\}),\quad L \leftarrow L \setminus \{l^{*}\}",
     "One layer after another goes, each time the one that is missed least on validation.",
     "Marill and Green 1963, IEEE Trans. Inf. Theory 9"),
)  # fmt: skip


class LayerPruning(Method):
    """Take layers out, so that each one's input becomes its output.

    formula           L_new = L − α·|L|: the last round(α · L) layers go
    block_influence   the round(amount · L) layers go that turn their input least: 1 − E cos(x_l, x_{l+1})
    angular_distance  the run of n = round(amount · L) successive layers goes that turns its input least,
                      E arccos(cos(x_l, x_{l+n})) / π, over all places; where no n follow one another, the fewest runs
                      that are n layers together, of those the ones with the least sum
    greedy            round(amount · L) layers go one after another, each time the one without which the validation
                      score, or where that ties the loss, is best
    random            round(amount · L) layers go that are drawn by the seed: the baseline

    alpha, amount   share of the layers, 0 up to below 1
    examples        training examples, of greedy validation examples, on which the layers are judged, 1 to 4,096

    A layer is the outermost module that holds weights, runs once, and gives a tensor of the shape that it got, or a
    tuple that begins with one and holds nothing else that is needed; at least one stays. Layers are successive where
    the output of each is the input of the next. Raises CannotApply where the model has none, Cancelled.
    Source: the project's source document, formula 4; block influence: Men et al., ShortGPT, arXiv 2403.03853; angular
    distance: Gromov et al., The unreasonable ineffectiveness of the deeper layers, arXiv 2403.17887 (who look at the
    last place only); greedy: backward elimination, Marill and Green, IEEE Trans. Inf. Theory 9, 1963.
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
        *(
            Form(
                name,
                ("amount", "examples"),
                Effect(frozenset({"modules"})),
                latex,
                summary,
                source,
                neutral={"amount": 0.0},
                needs=frozenset({"data"}),
                baseline="random",
            )
            for name, latex, summary, source in BY_DATA
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
        return take_out(model, [blocks[place] for place in self._chosen(model, blocks, context)])

    def _chosen(self, model: nn.Module, blocks: list[Block], context: Context) -> list[int]:
        """The places of the blocks that go, in ascending order."""
        n = len(blocks)
        if self.form == "formula":
            return list(range(n - removed_of(self.number("alpha"), n), n))
        goes = removed_of(self.number("amount"), n)
        if self.form == "random":
            return lowest(drawn(n, context.seed), goes)
        examples = self.whole("examples")
        if self.form == "greedy":
            key = ("greedy_order", examples)
            return context.once(key, lambda: GreedyOrder(model, blocks, examples)).first(goes, context)
        if self.form == "angular_distance":
            far = context.once((self.form, examples), lambda: distances(model, blocks, context, examples))
            return nearest_runs(chains(blocks), far, goes)
        return lowest(context.once((self.form, examples), lambda: self._influence(model, blocks, context)), goes)

    def one_by_one(self, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone]:
        """Each block taken out alone, with all the layers in it."""
        blocks = self._blocks(model, context)
        for block in blocks:
            copied = take_out(structural_copy(model), [block])
            yield Alone(tuple(path for path in layers if within(path, block.path)), copied)
        for path in layers:
            if not any(within(path, block.path) for block in blocks):
                yield Alone((path,), None, False, "it lies in no layer whose input and output shapes agree")

    def things(self, model: nn.Module, context: Context) -> int | None:
        """How many layers can be taken out, all of them counted."""
        return len(self._blocks(model, context))

    def _blocks(self, model: nn.Module, context: Context) -> list[Block]:
        return context.once("blocks", lambda: find_blocks(model, context.examples(2)))

    def _influence(self, model: nn.Module, blocks: list[Block], context: Context) -> Tensor:
        sums = dict.fromkeys(blocks, 0.0)
        inputs = context.examples(self.whole("examples"))

        def visit(block: Block, before: Tensor, after: Tensor) -> None:
            sums[block] += float(block_influence(before, after, not block.convolutional)) * len(before)

        for batch, _ in batches_of((inputs, inputs), 256):
            context.channel.check()
            around(model, blocks, batch, visit)
        return torch.tensor([sums[block] / count_of(inputs) for block in blocks], dtype=torch.float64)
