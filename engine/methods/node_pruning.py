"""Node pruning: layers become narrower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, fraction
from engine.edit.coupling import CoupledGroup, coupled_groups, why_not
from engine.edit.importance import Score, activations, gradients, reconstruction, squares
from engine.edit.scores import drawn, lowest, removed_of, rounded_removal
from engine.edit.surgery import own_parameters, structural_copy
from engine.examples import Inputs, main_tensor, run, take
from engine.form import Effect, Form
from engine.method import Alone, Context, Method

ALPHA = fraction(
    "alpha",
    0.3,
    "The share of the nodes of each layer that is taken out, rounded in each layer: the sum may differ by a few.",
    below=True,
    counts="nodes",
)
AMOUNT = fraction(
    "amount",
    0.3,
    "The share of the nodes of each layer that is taken out, rounded in each layer: the sum may differ by a few.",
    below=True,
    counts="nodes",
)
PROTECT = Coefficient("protect", "layers", (), "Layers whose nodes stay.")
EXAMPLES = Coefficient(
    "examples", "count", 256, "Training examples that show how much a node matters.", 1, 100_000, scale="log"
)
ROUND_TO = Coefficient("round_to", "count", 1, "What stays of each layer is a multiple of this.", 1, 256, scale="log")
PROTECTED = "it is protected"
NARROWS = frozenset({"shapes"})


BY_DATA = (
    ("activation", r"s_j = \mathbb{E}[x_j^2]", "The nodes go that say least to the layers that read them.",
     "Hu et al. 2016, arXiv 1607.03250"),
    ("taylor", r"s_j = \Big| \sum_{w \in j} w \, \tfrac{\partial L}{\partial w} \Big|",
     "The nodes go without which the loss changes least, to first order.", "Molchanov et al. 2019, arXiv 1906.10771"),
    ("fisher", r"s_j = \sum_{w \in j} w^2 \, \mathbb{E}\big[ (\tfrac{\partial L}{\partial w})^2 \big]",
     "The nodes go without which the loss changes least, to second order.", "Theis et al. 2018, arXiv 1801.05787"),
    ("reconstruction", r"s_j = \sum_i w_{ij}^2 \, / \, [A^{-1}]_{jj}",
     "The nodes go that the others can best make up for; `repair` then does so.", "Hassibi and Stork 1992"),
)  # fmt: skip


class NodePruning(Method):
    """Take nodes (neurons, channels) out of every layer, with all that hangs on them in other layers.

    formula         N_new = N − α·|N|: of each group of coupled nodes, the last round(α · n) go
    group_norm      of each group, the round(amount · n) go whose weights in all coupled layers have the smallest
                    Euclidean norm
    activation      the same by E[x²] of what the layers that read the node are given
    taylor          the same by |Σ w·∂L/∂w| over the node's weights in all coupled layers, L the loss
    fisher          the same by Σ w²·E[(∂L/∂w)²], the mean over batches of 32 examples
    reconstruction  the same by Σ_i w_ij² / [A^(-1)]_jj with A = E[x·x^T] of what the layers that read the node are
                    given: what is lost without it once the others have made up for it
    random          of each group, round(amount · n) nodes go that are drawn by the seed: the baseline

    alpha      share of the nodes of each group, 0 up to below 1
    amount     share of the nodes of each group, 0 up to below 1
    protect    paths of layers whose nodes stay
    examples   training examples, drawn by the seed, 1 to 100,000
    round_to   what stays of each group is a multiple of it, 1 to 256

    At least one node of each group stays. The model's outputs, tied weights, attention heads, recurrent layers and
    grouped convolutions are left alone. Raises CannotApply where nothing is left to cut, or the model cannot be
    traced.
    Source: the project's source document, formula 5; coupled groups: Fang et al., DepGraph: towards any structural
    pruning, arXiv 2301.12900; Taylor and Fisher: Molchanov et al., arXiv 1906.10771; Theis et al., arXiv 1801.05787;
    reconstruction: Hassibi and Stork, Optimal brain surgeon, NIPS 1992.
    """

    name = "node_pruning"
    title = "Node pruning"
    family = "pruning"
    coefficients = (ALPHA, AMOUNT, PROTECT, EXAMPLES, ROUND_TO)
    forms = (
        Form(
            "formula",
            ("alpha", "protect"),
            Effect(NARROWS, monotone={"alpha": ("parameters", -1)}),
            r"N_{new} = N - \alpha \cdot |N|",
            "The last nodes of each layer go.",
            "Source document, formula 5",
            neutral={"alpha": 0.0},
            baseline="random",
        ),
        Form(
            "group_norm",
            ("amount", "protect", "round_to"),
            Effect(NARROWS, monotone={"amount": ("parameters", -1)}),
            r"s_i = \big\lVert (W^{(l)}_i)_{l\ \text{coupled}} \big\rVert_2",
            "The nodes go whose weights, in all layers that share them, are smallest.",
            "Fang et al. 2023, arXiv 2301.12900",
            neutral={"amount": 0.0},
            baseline="random",
        ),
        *(
            Form(
                name,
                ("amount", "protect", "round_to", "examples"),
                Effect(NARROWS, monotone={"amount": ("parameters", -1)}),
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
            ("amount", "protect", "round_to"),
            Effect(NARROWS, monotone={"amount": ("parameters", -1)}),
            r"N_{new} = N - \alpha \cdot |N|,\quad \text{by lot}",
            "Nodes of each layer go by lot: what choosing is worth is the distance from here.",
            "Baseline",
            neutral={"amount": 0.0},
        ),
    )
    default_form = "group_norm"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with fewer nodes."""
        stays = self._stays(model, context)
        return self._cut(model, context, stays)

    def one_by_one(self, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone]:
        """Each group of coupled nodes cut alone, in all the layers whose outputs they are."""
        stays = self._stays(model, context)
        seen: set[str] = set()
        for i in range(len(self._groups(own_parameters(structural_copy(model)), context, stays))):
            copied = own_parameters(structural_copy(model))
            group = self._groups(copied, context, stays)[i]  # a group holds the very modules that it cuts
            members = tuple(path for path in group.layers if path in layers)
            places = self._choose(group, drawn(group.nodes, context.seed, i), self._score(model, context))
            seen.update(members)
            if places:
                group.cut(places)
                yield Alone(members, copied.eval())
            else:
                yield Alone(members, None, True, "no node of it goes at this amount")
        protected = {str(path) for path in self.values["protect"]}  # type: ignore[union-attr]
        for path in layers:
            if path not in seen:
                yield Alone((path,), None, False, PROTECTED if path in protected else why_not(model, path))

    def things(self, model: nn.Module, context: Context) -> int | None:
        """How many nodes can be cut, over all groups."""
        stays = self._stays(model, context)
        return sum(g.nodes for g in self._groups(own_parameters(structural_copy(model)), context, stays))

    def _cut(self, model: nn.Module, context: Context, stays: frozenset[str]) -> nn.Module:
        flags = {name: p.requires_grad for name, p in model.named_parameters()}
        own_parameters(model)
        groups = self._groups(model, context, stays)
        score = self._score(model, context)
        lots = [drawn(group.nodes, context.seed, i) for i, group in enumerate(groups)]
        chosen = [(group, self._choose(group, lot, score)) for group, lot in zip(groups, lots, strict=True)]
        for group, places in chosen:
            if places:
                group.cut(places)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(flags[name])
        return model

    def _choose(self, group: CoupledGroup, lot: Tensor, score: Score) -> list[int]:
        if self.form == "formula":
            goes = removed_of(self.number("alpha"), group.nodes)
            return list(range(group.nodes - goes, group.nodes))
        scores = lot if self.form == "random" else group.gathered(score).abs()
        return lowest(scores, rounded_removal(self.number("amount"), group.nodes, self.whole("round_to")))

    def _score(self, model: nn.Module, context: Context) -> Score:
        """What the form asks of each layer, computed once for all amounts."""
        if "examples" not in self.values:
            return squares()
        n, form = self.whole("examples"), self.form
        find = {"activation": activations, "reconstruction": reconstruction}.get(form) or partial(
            gradients, squared=form == "fisher"
        )
        return context.once(("node scores", form, n), lambda: find(model, context, n))

    def _groups(self, model: nn.Module, context: Context, stays: frozenset[str]) -> list[CoupledGroup]:
        try:
            groups = coupled_groups(model, context.examples(1), stays)
        except RuntimeError as error:
            raise self.cannot(
                "must be able to trace {model}, got: {why}", model=context.name, why=str(error)[:160]
            ) from error
        if not groups:
            raise self.cannot("must find nodes that can be cut, got none in {model}", model=context.name)
        return groups

    def _stays(self, model: nn.Module, context: Context) -> frozenset[str]:
        """Layers to leave alone: the protected ones, and those whose cut was tried and broke the model."""
        asked = frozenset(str(p) for p in self.values["protect"])  # type: ignore[union-attr]
        known = {name for name, _ in model.named_modules()}
        for path in asked - known:
            raise self.cannot("must be told layers of {model} to protect, got {path!r}", model=context.name, path=path)
        return context.once(("node_pruning", asked), lambda: asked | self._breaking(model, context, asked))

    def _breaking(self, model: nn.Module, context: Context, asked: frozenset[str]) -> frozenset[str]:
        """The roots of groups whose halving leaves a model that does not run: tried, not guessed."""
        try_out = partial(_halve, model, context.examples(3))
        groups = self._groups(own_parameters(structural_copy(model)), context, asked)
        if try_out(asked, None):
            return frozenset()
        return frozenset(g.root for g in groups if not try_out(asked, g.root))


@torch.no_grad()
def _halve(model: nn.Module, inputs: Inputs, stays: frozenset[str], only: str | None) -> bool:
    """Whether the model runs, at two batch sizes, with half of the nodes of one group, or of all of them, cut."""
    copied = own_parameters(structural_copy(model))
    try:
        for group in coupled_groups(copied, take(inputs, slice(1)), stays):
            if only in (None, group.root):
                group.cut(list(range(group.nodes // 2)))
        parts = [take(inputs, slice(n)) for n in (1, None)]
        shapes = [main_tensor(run(copied, x)).shape == main_tensor(run(model, x)).shape for x in parts]
    except (RuntimeError, AssertionError, ValueError, IndexError, KeyError, AttributeError, TypeError):
        return False
    return all(shapes)
