"""Repair: the layers that remain are solved for what the original gave, without a gradient."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.coefficient import Coefficient
from engine.copying import structural_copy
from engine.edit.attention import close_attention, open_attention
from engine.edit.origin import nodes_of, place_of
from engine.edit.repairing import Repair as Walker
from engine.edit.repairing import Wanted
from engine.edit.rows import real_places
from engine.edit.solvable import outputs_of, solvable, why_not_solved
from engine.edit.surgery import tied
from engine.edit.walk import Walk
from engine.errors import CannotApply
from engine.examples import Inputs, batches_of, count
from engine.form import Effect, Form
from engine.method import Context, Method

EXAMPLES = Coefficient(
    "examples", "count", 400, "Training examples that the layers are solved on.", 1, 100_000, scale="log"
)
RIDGE = Coefficient(
    "ridge", "real", 1e-3, "How strongly each weight is held where it is, beside the size of the layer's input.",
    1e-8, 10.0, scale="log",
)  # fmt: skip
BATCH = Coefficient(
    "batch_size", "count", 400, "Examples that go through at a time: memory grows with them, not with the examples.",
    1, 65_536, scale="log",
)  # fmt: skip
MATCH = Coefficient(
    "match",
    "choice",
    "component",
    "Whether the last layer of each residual branch is solved for what the whole sum lacks, or each for itself.",
    choices=("component", "layer"),
)
KEPT_BYTES = 2**28  # of the original's outputs, kept for the next point of a sweep


class Repair(Method):
    """Bring a variant's layers back to what they gave in the original, in one walk forward.

    least_squares   W_new = argmin over W of |Y − X·W^T|² + λ·|W − W_0|², for one layer after another: X what the
                    layer is given by the repaired layers before it, Y what it gave in the original at the nodes that
                    remain; λ = ridge · mean(diag(X^T X))
    statistics      the mean and variance of every batch normalisation are re-estimated, and nothing else

    examples     training examples, drawn by the seed, 1 to 100,000
    ridge        1e-8 to 10, without a unit
    batch_size   examples that go through at a time, 1 to 65,536. With more examples than that the walk is gone several
                 times, and the moments X^T X and X^T Y add up
    match        "component": where a layer's output goes into a sum, as at the end of a residual branch, Y is what
                 the sum lacks, so that it also makes up for a block that was removed; "layer": always its own output

    Acts on linear layers and 1-D, 2-D and 3-D convolutions: X is (rows, inputs), Y (rows, outputs), one row a place.
    Zeros stay zeros: each output is solved on its own support. Two factors are solved together, by reduced rank, with
    a ridge of 0.3 at least; where the first was chosen for outputs, or both have a kernel, the second alone.
    Statistics of normalisation move with what comes in. Weights before a batch normalisation stay as long as they were
    and the scale goes into it, so that a training goes on from where this ends. Embeddings, tied weights, recurrent
    layers and layers that run twice stay as they are. Raises CannotApply where nothing is left to repair, Cancelled.
    Source: least squares layer by layer: He et al., Channel pruning, arXiv 1707.06168; a component at a time:
    arXiv 2510.14444; reduced rank: Izenman, J. Multivariate Analysis 5 (1975).
    """

    name = "repair"
    title = "Repair"
    family = "recovery"
    coefficients = (EXAMPLES, RIDGE, BATCH, MATCH)
    forms = (
        Form(
            "least_squares",
            ("examples", "ridge", "batch_size", "match"),
            Effect(frozenset({"values"}), makes_zeros=True),
            r"W_{new} = \arg\min_W \lVert Y - X W^{\top} \rVert^2 + \lambda \lVert W - W_0 \rVert^2",
            "Each layer is solved for what it gave in the original, given what the repaired layers before it give.",
            "He et al. 2017, arXiv 1707.06168",
            needs=frozenset({"data", "original"}),
        ),
        Form(
            "statistics",
            ("examples", "batch_size"),
            Effect(frozenset({"values"})),
            r"\mu \leftarrow \mathbb{E}[x],\quad \sigma^2 \leftarrow \mathrm{Var}[x]",
            "The statistics of batch normalisation are estimated again; no weight moves.",
            "Li et al. 2016, arXiv 1603.04779",
            needs=frozenset({"data", "original"}),
        ),
    )
    default_form = "least_squares"

    def edit(self, model: nn.Module, context: Context) -> nn.Module:
        """The model with its layers solved anew."""
        solving = self.form == "least_squares"
        if solving:
            open_attention(model)
        try:
            return self._walk(model, context, solving)
        finally:
            close_attention(model)

    def _walk(self, model: nn.Module, context: Context, solving: bool) -> nn.Module:
        layers = self._pairs(model, context) if solving else {}
        if not layers and not any(
            isinstance(module, _BatchNorm) and module.running_mean is not None for module in model.modules()
        ):
            raise self._nothing(model, context)
        ridge, sums = (self.number("ridge"), self.word("match") == "component") if solving else (1.0, False)
        walker: Walker | None = None
        examples = context.examples(self.whole("examples"))
        for place, (inputs, _) in enumerate(batches_of((examples, examples), self.whole("batch_size"))):
            context.channel.check()
            wanted = self._wanted(place, inputs, context)
            walker = walker or Walker(model, layers, ridge, sums, wanted)
            walker.wanted = wanted
            Walk(model, layers, walker).over(inputs)
        if walker is not None:
            walker.settle()
        return model

    def treats(self, model: nn.Module, path: str) -> tuple[bool, str]:
        """Whether the layer of that path can be solved, and why it stays as it is."""
        if self.form == "statistics":
            return False, "statistics belong to normalisation, not to weights"
        if any(path == known or path.startswith(f"{known}.") for known in solvable(model)):
            return True, ""
        return False, why_not_solved(model.get_submodule(path), tied(model)) or "another layer reads its weight"

    def _original(self, context: Context) -> nn.Module:
        return context.memo.once("open original", lambda: open_attention(structural_copy(context.original)))

    def _pairs(self, model: nn.Module, context: Context) -> dict[str, nn.Module]:
        """The layers of the variant that the original has, too, by their path in the variant."""
        of_original = solvable(self._original(context))
        found = {}
        for path, layer in solvable(model).items():
            old = of_original.get(place_of(model, path))
            nodes = nodes_of(layer) or list(range(outputs_of(layer)))
            if old is not None and len(nodes) == outputs_of(layer) and max(nodes) < outputs_of(old):
                found[path] = layer
        return found

    def _nothing(self, model: nn.Module, context: Context) -> CannotApply:
        if self.form == "statistics":
            return self.cannot("must find batch normalisation with statistics, got none in {model}", model=context.name)
        twice = tied(model)
        reasons = ((path, why_not_solved(m, twice)) for path, m in model.named_modules() if m._parameters)
        path, why = next(iter(reasons), ("", "it has no weights"))
        return self.cannot(
            "must find linear layers or convolutions that the original has, too, got none in {model}: of {path}, {why}",
            model=context.name, path=path or "the model itself", why=why or "the original has no such layer",
        )  # fmt: skip

    def _wanted(self, place: int, inputs: Inputs, context: Context) -> Wanted:
        """What the original gives: kept for the next point of a sweep, where that is not too large."""
        examples, batch = self.whole("examples"), self.whole("batch_size")
        key = ("repair", context.seed, examples, batch, place)
        if key in context.memo:
            return context.memo.once(key, Wanted)  # type: ignore[arg-type]
        original = self._original(context)
        layers = solvable(original)
        wanted = Wanted(layers, count(inputs) / examples, context.seed + place, real_places(inputs))
        Walk(original, layers, wanted).over(inputs)
        return context.memo.once(key, lambda: wanted) if wanted.nbytes <= KEPT_BYTES else wanted
