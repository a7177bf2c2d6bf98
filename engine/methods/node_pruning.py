"""Node pruning: layers become narrower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient, fraction
from engine.copying import structural_copy
from engine.edit.attention import keep_open, open_attention
from engine.edit.budgets import BUDGETS, saving
from engine.edit.choosing import Chosen, Rules, choose, within_budget
from engine.edit.coupling import Coupling
from engine.edit.groups import Score, cut
from engine.edit.importance import activations, gradients, reconstruction, squares
from engine.edit.scores import drawn
from engine.edit.trying import FAULTS, tried_coupling
from engine.errors import first_line
from engine.form import Effect, Form
from engine.method import Alone, Context, Method
from engine.metrics.layers import within

SHARE = "The share of the nodes of each layer that is taken out, rounded in each layer: the sum may differ by a few."
ALPHA = fraction("alpha", 0.3, SHARE, below=True, counts="nodes")
AMOUNT = fraction("amount", 0.3, SHARE, below=True, counts="nodes")
PROTECT = Coefficient("protect", "layers", (), "Layers whose nodes stay.")
EXAMPLES = Coefficient(
    "examples", "count", 256, "Training examples that show how much a node matters.", 1, 100_000, scale="log"
)
ROUND_TO = Coefficient("round_to", "count", 1, "What stays of each layer is a multiple of this.", 1, 256, scale="log")
OF = Coefficient(
    "of", "choice", "nodes",
    "What the amount is a share of. By latency, one forward pass of one example is timed here: another machine may cut "
    "differently.",
    choices=("nodes", *BUDGETS),
)  # fmt: skip
SCOPE = Coefficient(
    "scope", "choice", "layer", "Whether each layer's nodes are ranked by themselves, or all of the model's as one.",
    choices=("layer", "model"),
)  # fmt: skip
CAP = fraction("cap", 1.0, "The largest share of any layer's nodes that is taken out.")
NARROWS = frozenset({"shapes", "modules"})  # torch's own attention is taken apart where it loses heads
CHOICE = ("amount", "of", "scope", "cap", "protect", "round_to")


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
    """Take nodes (neurons, channels, attention heads) out of every layer, with all that hangs on them elsewhere.

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
    amount     share of what `of` names, 0 up to below 1
    of         "nodes", of each group; "parameters", "multiply_adds" or "latency" of the model: the smallest share of
               nodes goes with which at least so much is saved. Latency is timed here, one example at a time
    scope      "layer", or "model": the nodes of all groups are ranked as one, each score beside its group's mean
    cap        the largest share of a group that goes, 0 to 1
    protect    paths of layers whose nodes stay
    examples   training examples, drawn by the seed, 1 to 100,000
    round_to   what stays of each group's first layer is a multiple of it, 1 to 256

    A group is found by following each node to the weights that read it, so a head of an attention, or the heads that
    share a key, is one node; nobody need say how many there are. What is cut must give what the model gives without
    the weights that read it: tried with half of each group at two batch sizes. At least one node of each group stays.
    Outputs, tied weights, recurrent layers, grouped convolutions and what a layer normalisation mixes are left alone.
    Raises CannotApply where nothing is left to cut, the model does not run, or a budget cannot be reached.
    Source: the project's source document, formula 5; norms of groups: Fang et al., arXiv 2301.12900; Taylor and
    Fisher: Molchanov et al., arXiv 1906.10771; Theis et al., arXiv 1801.05787; reconstruction: Hassibi and Stork,
    Optimal brain surgeon, NIPS 1992.
    """

    name = "node_pruning"
    title = "Node pruning"
    family = "pruning"
    coefficients = (ALPHA, AMOUNT, OF, SCOPE, CAP, PROTECT, EXAMPLES, ROUND_TO)
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
            CHOICE,
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
                (*CHOICE, "examples"),
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
            CHOICE,
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
        return _without(model, self._choose(model, context))

    def one_by_one(self, model: nn.Module, context: Context, layers: Sequence[str]) -> Iterator[Alone]:
        """Each group of coupled nodes cut alone, in all the layers whose outputs they are."""
        seen: set[str] = set()
        for group, nodes in self._choose(model, context):
            members = tuple(path for path in layers if any(within(member, path) for member in group.layers))
            seen.update(members)
            if nodes:
                yield Alone(members, _without(structural_copy(model), [(group, nodes)]).eval())
            else:
                yield Alone(members, None, True, "no node of it goes at this amount")
        reasons = self._coupling(model, context).reasons
        for path in layers:
            if path not in seen:
                known = next((why for place, why in reasons.items() if within(place, path)), None)
                yield Alone((path,), None, False, known or "its nodes are joined to nodes that cannot be cut")

    def things(self, model: nn.Module, context: Context) -> int | None:
        """How many nodes can be cut, over all groups; None where the amount is a share of something else."""
        if self.values.get("of", "nodes") != "nodes":
            return None
        return sum(group.nodes for group in self._coupling(model, context).groups)

    def _choose(self, model: nn.Module, context: Context) -> Chosen:
        groups = self._coupling(model, context).groups
        if self.form == "formula":
            places = [torch.arange(group.nodes, 0, -1) for group in groups]  # the last go first
            return choose(groups, places, self.number("alpha"), Rules())
        scores = self._scores(model, context)
        rules = Rules(self.word("scope") == "model", self.number("cap"), self.whole("round_to"))
        of, amount = self.word("of"), self.number("amount")
        if of == "nodes":
            return choose(groups, scores, amount, rules)
        saved = saving(of, model, context.examples(1))
        chosen, reached = context.once(
            ("node budget", self),
            lambda: within_budget(
                amount,
                lambda share: choose(groups, scores, share, rules),
                lambda found: saved(_without(structural_copy(model), found)),
            ),
        )
        if reached < amount and amount > 0:
            raise self.cannot(
                "must be asked for a share of the {of} of {model} that it can reach, got {amount:g}: with all nodes "
                "gone that can go, {most:.1%} of them are saved",
                of=of.replace("_", "-"), model=context.name, amount=amount, most=reached,
            )  # fmt: skip
        return chosen

    def _scores(self, model: nn.Module, context: Context) -> list[Tensor]:
        groups = self._coupling(model, context).groups
        if self.form == "random":
            return [drawn(group.nodes, context.seed, i) for i, group in enumerate(groups)]

        def gathered() -> list[Tensor]:
            opened, score = open_attention(structural_copy(model)), self._score(model, context)
            return [group.gathered(opened, score).abs() for group in groups]

        return context.once(("node scores", self.form, self.values.get("examples"), self.values["protect"]), gathered)

    def _score(self, model: nn.Module, context: Context) -> Score:
        """What the form asks of each layer."""
        if "examples" not in self.values:
            return squares()
        find = {"activation": activations, "reconstruction": reconstruction}.get(self.form) or partial(
            gradients, squared=self.form == "fisher"
        )
        return find(model, context, self.whole("examples"))

    def _coupling(self, model: nn.Module, context: Context) -> Coupling:
        """Which nodes can be cut: tried once for all amounts."""
        asked = frozenset(str(p) for p in self.values["protect"])  # type: ignore[union-attr]
        known = {name for name, _ in model.named_modules()}
        for path in asked - known:
            raise self.cannot("must be told layers of {model} to protect, got {path!r}", model=context.name, path=path)
        try:
            found = context.once(("node_pruning", asked), lambda: tried_coupling(model, context.examples(3), asked))
        except FAULTS as error:
            raise self.cannot(
                "must be able to run {model} one example at a time, got: {why}",
                model=context.name, why=first_line(error, 160),
            ) from error  # fmt: skip
        if not found.groups:
            raise self.cannot("must find nodes that can be cut, got none in {model}", model=context.name)
        return found


@torch.no_grad()
def _without(model: nn.Module, chosen: Chosen) -> nn.Module:
    """The model, which the caller owns, without these nodes."""
    return keep_open(cut(open_attention(model), chosen))
