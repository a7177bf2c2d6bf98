"""What can be done to each layer of a model, and if not, why: every claim tried at two batch sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from engine.catalogue import available_methods, method_named
from engine.dry_run import BATCHES, BLOCKS, NODES, DryRun, each_layer, strongest
from engine.edit.blocks import find_blocks
from engine.edit.trying import tried_coupling
from engine.method import Channel, Context, Method
from engine.metrics.layers import layer_paths, within
from engine.metrics.record import pick_device
from engine.recipe import Recipe
from engine.workload import Workload


@dataclass(frozen=True)
class Verdict:
    """Whether a method can treat a layer.

    reason    why it cannot; empty where it can
    along     the layers that are treated with it
    """

    treatable: bool
    reason: str = ""
    along: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        return {"treatable": self.treatable, "reason": self.reason, "treated_with": list(self.along)}


@dataclass(frozen=True)
class TreatedLayer:
    """One layer, a module without children that has weights, and a verdict by the name of each method."""

    path: str
    kind: str
    parameters: int
    verdicts: Mapping[str, Verdict]

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        told = {name: verdict.to_dict() for name, verdict in self.verdicts.items()}
        return {"layer": self.path, "kind": self.kind, "parameters": self.parameters, "methods": told}


@dataclass(frozen=True)
class TreatedTogether:
    """What a method treats as one: coupled nodes, or a block.

    root      the path of the block, or of the first layer whose outputs the nodes are
    layers    the layers that it touches: those in the block, or whose outputs the nodes are
    nodes     how many nodes there are, None of a block
    each      how many outputs of the root one node is, None of a block
    verdict   of taking it out, or half of its nodes
    """

    method: str
    root: str
    layers: tuple[str, ...]
    nodes: int | None
    each: int | None
    verdict: Verdict

    def to_dict(self) -> dict[str, object]:
        """As plain data."""
        found = {"method": self.method, "root": self.root, "layers": list(self.layers)}
        return {**found, "nodes": self.nodes, "each": self.each, **self.verdict.to_dict()}


@dataclass(frozen=True)
class Treatability:
    """What can be done to a model.

    steps      each method as it was tried
    layers     in the order in which they stand in the model
    together   groups of coupled nodes, then blocks
    """

    model: str
    steps: Recipe
    layers: tuple[TreatedLayer, ...]
    together: tuple[TreatedTogether, ...]

    def to_dict(self) -> dict[str, object]:
        """As plain data, for `secateur map --json`."""
        return {
            "model": self.model,
            "tried": self.steps.to_list(),
            "batches": list(BATCHES),
            "layers": [layer.to_dict() for layer in self.layers],
            "together": [one.to_dict() for one in self.together],
        }


def treatability_map(workload: Workload, methods: Sequence[str] = (), channel: Channel | None = None) -> Treatability:
    """What each method, in its default form and at its strongest, can do to each layer of a model.

    Each claim is tried: a model in which only this layer, with what must go with it, is treated must run at two batch
    sizes and keep its outputs' shape. Where only numbers change, one model in which all layers are treated is tried.

    methods    their names; none for all

    Raises UnknownName, BrokenVariant where the model itself does not run, Cancelled.
    """
    steps = tuple(strongest(method_named(name)) for name in methods or available_methods())
    context = Context.of(workload, pick_device("cpu"))
    context = replace(context, channel=channel or context.channel)
    model, paths = context.original, layer_paths(context.original)
    tries = DryRun.of(context)
    found: dict[str, dict[str, Verdict]] = {path: {} for path in paths}
    for step in steps:
        for one in each_layer(step, context, paths, tries):
            for path in one.layers:
                known = found[path].get(step.name)
                if known is None or (one.treatable and not known.treatable):
                    along = tuple(other for other in one.layers if other != path) if one.treatable else ()
                    found[path][step.name] = Verdict(one.treatable, one.reason, along)
    layers = [_layer(path, model.get_submodule(path), found[path]) for path in paths]
    return Treatability(workload.name, Recipe(steps), tuple(layers), tuple(_together(steps, context, found)))


def _layer(path: str, layer: nn.Module, verdicts: Mapping[str, Verdict]) -> TreatedLayer:
    return TreatedLayer(path, type(layer).__name__, sum(p.numel() for p in layer.parameters()), verdicts)


def _together(
    steps: Sequence[Method], context: Context, found: Mapping[str, Mapping[str, Verdict]]
) -> Iterator[TreatedTogether]:
    """Groups and blocks, where their methods were asked for and treat something."""
    names = [step.name for step in steps]
    model = context.original
    if NODES in names and any(verdicts[NODES].treatable for verdicts in found.values()):
        for group in tried_coupling(model, context.examples(3)).groups:
            known = [verdicts[NODES] for path, verdicts in found.items() if within(group.root, path)]
            verdict = replace(known[0], along=()) if known else Verdict(True)
            yield TreatedTogether(NODES, group.root, group.layers, group.nodes, group.each, verdict)
    if BLOCKS in names:
        for block in find_blocks(model, context.examples(2)):
            layers = tuple(path for path in found if within(path, block.path))
            yield TreatedTogether(BLOCKS, block.path, layers, None, None, replace(found[layers[0]][BLOCKS], along=()))
