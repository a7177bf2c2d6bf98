"""What the layers of a model are given on training examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engine.coefficient import Coefficient
from engine.copying import structural_copy
from engine.edit.attention import close_attention, open_attention
from engine.edit.rows import real_places
from engine.edit.solvable import inputs_of, put_weight, solvable, some_rows_of, weight_of
from engine.edit.walk import Visitor, Walk
from engine.examples import batches_of, count
from engine.method import Context

PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight")
AT_ONCE = 256  # examples
# The knob of every method that looks at what layers are given.
EXAMPLES = Coefficient(
    "examples", "count", 256, "Training examples that show what each layer is given.", 1, 100_000, scale="log"
)


@dataclass(frozen=True)
class Given:
    """What a layer is given: E[x] (groups, inputs) and E[x x^T] (groups, inputs, inputs), double."""

    mean: Tensor
    moment: Tensor


@dataclass
class _Given(Visitor):
    """Adds up x and X^T X of every layer."""

    layers: Mapping[str, nn.Module]
    share: float
    seed: int
    real: Tensor | None = None
    sums: dict[str, Given] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    _inputs: dict[str, Tensor] = field(default_factory=dict)

    def layer(self, path: str, inputs: Tensor) -> None:
        self._inputs[path] = inputs

    def ran(self, path: str, outputs: Tensor) -> None:
        layer = self.layers[path]
        rows = some_rows_of(layer, outputs, self.share, self.seed, self.real)
        given = inputs_of(layer, self._inputs.pop(path), rows).transpose(0, 1)  # groups, rows, inputs
        mean, moment = given.sum(1).double(), (given.transpose(1, 2) @ given).double()
        if path in self.sums:
            mean, moment = self.sums[path].mean + mean, self.sums[path].moment + moment
        self.sums[path] = Given(mean, moment)
        self.rows[path] = self.rows.get(path, 0) + given.shape[1]


def input_moments(model: nn.Module, context: Context, examples: int) -> dict[str, Tensor]:
    """E[x x^T] of what each linear layer and convolution is given: (groups, inputs, inputs), double, by path.

    examples    training examples, drawn by the seed
    """
    return {path: given.moment for path, given in what_is_given(model, context, examples).items()}


def what_is_given(model: nn.Module, context: Context, examples: int) -> dict[str, Given]:
    """The mean, too, of what each linear layer and convolution is given, by path.

    The projections of torch's own attention are called `query`, `key`, `value` and `out`.

    examples    training examples, drawn by the seed
    """
    opened = open_attention(structural_copy(model))
    layers = solvable(opened)
    inputs = context.examples(examples)
    seen = _Given(layers, min(AT_ONCE / count(inputs), 1.0), context.seed)
    for place, (batch, _) in enumerate(batches_of((inputs, inputs), AT_ONCE)):
        context.channel.check()
        seen.seed, seen.real = context.seed + place, real_places(batch)
        Walk(opened, layers, seen).over(batch)
    return {path: Given(g.mean / seen.rows[path], g.moment / seen.rows[path]) for path, g in seen.sums.items()}


def damped(moment: Tensor, ridge: float) -> Tensor:
    """A + λ·1 with λ = ridge · mean(diag(A)) for each group: so that it can be inverted."""
    mean = moment.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
    return moment + ridge * mean[:, None, None] * torch.eye(moment.shape[1], dtype=moment.dtype, device=moment.device)


def map_by_inputs(
    model: nn.Module, moments: Mapping[str, Tensor], change: Callable[[str, Tensor, Tensor], Tensor]
) -> set[str]:
    """Put change(path, W, E[x x^T]) in the place of W for every layer of which that is known: (groups, ..., inputs).

    Gives the names of the weights that were changed.
    """
    open_attention(model)
    layers = {path: layer for path, layer in solvable(model).items() if not isinstance(layer, nn.Sequential)}
    known = layers.keys() & moments.keys()
    for path in known:
        put_weight(layers[path], change(path, weight_of(layers[path]), moments[path]))
    close_attention(model)
    names = {f"{path}.weight" for path in known}
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention) and f"{name}.query" in moments:
            names |= {f"{name}.{part}" for part in PROJECTIONS}
    return names
