"""What can be done to each layer of a model, and if not, why: every claim tried at two batch sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from engine.catalogue import available_methods, method_named
from engine.edit.blocks import find_blocks, hooked
from engine.edit.scores import CONVOLUTIONS
from engine.edit.trying import tried_coupling
from engine.errors import BrokenVariant, CannotApply, first_line
from engine.examples import Inputs, main_tensor, placed, run, take
from engine.method import Alone, Channel, Context, Method
from engine.metrics.layers import layer_paths, within
from engine.metrics.record import pick_device
from engine.per_layer import alone_in_each, left_as_it_was, tied_to
from engine.recipe import FAULTS, Recipe, run_or_name
from engine.workload import Workload

BATCHES = (1, 3)  # at which every claim is tried
TRIAL = {"steps": 1, "batch_size": 8, "examples": 16}  # enough to see what a step does to each layer
UNTRIED = "at its strongest, too, the step leaves it as it is"
FIXED_VIEW = re.compile(r"shape '.*' is invalid for input of size \d+")
NODES, BLOCKS = "node_pruning", "layer_pruning"  # the methods that treat several layers as one


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
    tries = _Tries.of(context)
    found: dict[str, dict[str, Verdict]] = {path: {} for path in paths}
    for step in steps:
        for one in _each(step, context, paths, tries):
            for path in one.layers:
                known = found[path].get(step.name)
                if known is None or (one.treatable and not known.treatable):
                    found[path][step.name] = _verdict(one, path, model.get_submodule(path))
    layers = [_layer(path, model.get_submodule(path), found[path]) for path in paths]
    return Treatability(workload.name, Recipe(steps), tuple(layers), tuple(_together(steps, context, found)))


def strongest(kind: type[Method]) -> Method:
    """A method in its default form with what moves a figure at its end, and little else to do."""
    form = next(form for form in kind.forms if form.name == kind.default_form)
    ends = {
        name: kind.coefficient(name).low if way > 0 else kind.coefficient(name).top
        for name, (_, way) in form.effect.monotone.items()
    }
    return kind(form.name, {**{n: value for n, value in TRIAL.items() if n in form.coefficients}, **ends})


@dataclass(frozen=True)
class _Tries:
    """What the original does at each batch size, to be compared with.

    calls    how often each module runs in one pass, by path
    """

    parts: list[Inputs]
    shapes: list[torch.Size]
    calls: Counter[str]

    @classmethod
    @torch.no_grad()
    def of(cls, context: Context) -> _Tries:
        model, calls = context.original, Counter[str]()
        names = {module: name for name, module in model.named_modules()}
        parts = [placed(take(context.train[0], slice(n)), context.device) for n in BATCHES]
        shapes = [run_or_name(lambda x=x: main_tensor(run(model, x)).shape) for x in parts]  # type: ignore[misc]
        with hooked(model.modules(), lambda module, _, __: calls.update([names[module]])):
            run(model, parts[0])
        return cls(parts, shapes, calls)

    @torch.no_grad()
    def fault(self, model: nn.Module) -> str:
        """Why a model cannot take the original's place, or nothing."""
        for inputs, wanted in zip(self.parts, self.shapes, strict=True):
            try:
                got = main_tensor(run(model, inputs)).shape
            except Exception as error:  # the model's own code: whatever it raises is a reason here
                return f"treated so, the model does not run: {first_line(error)}"
            if got != wanted:
                return f"treated so, the model gives {tuple(got)} instead of {tuple(wanted)}"
        return ""


def _each(step: Method, context: Context, paths: list[str], tries: _Tries) -> Iterator[Alone]:
    """Every layer, treatable only where that was tried."""
    try:
        every = _all_at_once if step.how.effect.changes == {"values"} else _one_at_a_time
        yield from every(step, context, paths, tries)
    except (CannotApply, BrokenVariant, *FAULTS) as error:  # it treats nothing in this model
        yield from (Alone((path,), None, False, first_line(error)) for path in paths)


def _all_at_once(step: Method, context: Context, paths: list[str], tries: _Tries) -> Iterator[Alone]:
    model, treated = context.original, Recipe((step,)).apply_in(context)
    fault = tries.fault(treated)
    for path in paths:
        same = left_as_it_was(step, model, treated, path)
        if same is not None:
            why = _also_twice(UNTRIED, tries.calls[path]) if same.treatable else same.reason
            yield replace(same, treatable=False, reason=why)
        else:
            yield Alone((path, *tied_to(model, path, paths)), treated, not fault, fault)


def _one_at_a_time(step: Method, context: Context, paths: list[str], tries: _Tries) -> Iterator[Alone]:
    for one in alone_in_each(step, context.original, Recipe((step,)).context_of(0, context), paths):
        context.channel.check()
        if one.model is None:
            twice = tries.calls[one.layers[0]] if step.name == BLOCKS else 1
            yield replace(one, treatable=False, reason=_also_twice(one.reason or UNTRIED, twice))
        else:
            fault = tries.fault(one.model)
            yield replace(one, treatable=not fault, reason=fault)


def _also_twice(why: str, calls: int) -> str:
    return f"{why}; it runs {calls} times in one pass" if calls > 1 else why


def _verdict(one: Alone, path: str, layer: nn.Module) -> Verdict:
    """With a reason as narrow as the layer shows it."""
    if one.treatable:
        return Verdict(True, "", tuple(other for other in one.layers if other != path))
    why = one.reason
    if (fixed := FIXED_VIEW.search(why)) is not None:
        why = f"a view with a fixed size reads its nodes: {fixed[0]}"
    elif isinstance(layer, CONVOLUTIONS) and layer.groups > 1:
        depthwise = layer.groups == layer.in_channels
        why += "; it is a depthwise convolution" if depthwise else f"; it is a convolution in {layer.groups} groups"
    return Verdict(False, why)


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
            place = next(path for path in found if within(group.root, path))
            verdict = replace(found[place][NODES], along=())
            yield TreatedTogether(NODES, group.root, group.layers, group.nodes, group.each, verdict)
    if BLOCKS in names:
        for block in find_blocks(model, context.examples(2)):
            layers = tuple(path for path in found if within(path, block.path))
            yield TreatedTogether(BLOCKS, block.path, layers, None, None, replace(found[layers[0]][BLOCKS], along=()))
