"""Which nodes must be cut together, and why some cannot be cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import nn

from engine.edit.groups import CoupledGroup, Member
from engine.edit.nodes import how_many, is_wall, mixes, passes
from engine.edit.probing import Probe, Spread
from engine.edit.reading import Map, coloured, maps
from engine.edit.scores import CONVOLUTIONS
from engine.edit.surgery import tied
from engine.examples import Inputs

Place: TypeAlias = "tuple[Member, int]"
Part: TypeAlias = "dict[Member, list[int]]"  # places that hang together, for every layer that they are in

SHARED = "its weights are shared with another layer"
OUTPUTS = "its nodes are the model's outputs"
MIXED = "its nodes are mixed before a layer reads them, as by a layer normalisation"
HELD = "its nodes belong to groups that must keep their size"
COMPUTED = "its weight is computed from others"
RECURRENT = "the nodes of a recurrent layer stay"
UNREAD = "nothing was seen to read its nodes"
PROTECTED = "it is protected"
FIXED = (SHARED, HELD, COMPUTED, RECURRENT)


@dataclass
class Coupling:
    """What can be cut in a model, and of the other layers why they cannot.

    reasons    by path
    """

    groups: list[CoupledGroup] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def find_coupling(model: nn.Module, example: Inputs, protected: frozenset[str] = frozenset()) -> Coupling:
    """The groups of nodes that hang together, each node followed from the layer that gives it to those that read it.

    A group is only found here; whether a model still runs when it is cut is for `edit/trying.py` to say.

    example      a batch (n, ...); one example will do
    protected    paths of modules: the nodes of the layers in them stay
    """
    names = {module: name for name, module in model.named_modules()}
    held = [p for p in names.values() if any(p == path or p.startswith(f"{path}.") for path in protected)]
    reasons = {**fixed(model), **dict.fromkeys(held, PROTECTED)}
    probe = Probe(model, example)
    spreads: dict[nn.Module, Spread] = {}
    for layer in probe.layers:
        if not mixes(layer) or how_many(layer, "gives") < 2:
            continue
        if not probe.runs.get(layer):
            reasons.setdefault(names[layer], "it did not run in a forward pass")
            continue
        spread = probe.spread({layer: probe.marks(layer)})
        if why := _why_not(spread, names, reasons):
            reasons.setdefault(names[layer], why)
        spreads[layer] = spread
    known: dict[nn.Module, Map] = {}
    for layers in coloured(spreads):
        known |= maps(probe, spreads, layers)
    return _grouped(_parts(known, names), reasons)


def fixed(model: nn.Module) -> dict[str, str]:
    """The layers whose nodes nobody can cut, whatever they are joined to, and why: by path."""
    twice = tied(model)
    found = {}
    for path, layer in model.named_modules():
        own = [p for p in layer._parameters.values() if p is not None]
        if any(id(p) in twice for p in own):
            found[path] = SHARED
        elif isinstance(layer, nn.RNNBase):
            found[path] = RECURRENT
        elif is_wall(layer):
            found[path] = HELD if isinstance(layer, CONVOLUTIONS) and layer.groups > 1 else COMPUTED
    return found


def _why_not(spread: Spread, names: Mapping[nn.Module, str], reasons: Mapping[str, str]) -> str:
    if spread.left:
        return OUTPUTS
    if not spread.read:
        return UNREAD
    walls = [names[m] for m in spread.met if reasons.get(names[m]) in FIXED]
    return f"its nodes go to {walls[0]}: {reasons[walls[0]]}" if walls else ""


class _Union:
    """Places that are joined, and what hangs together then."""

    def __init__(self) -> None:
        self._above: dict[Place, Place] = {}

    def top(self, place: Place) -> Place:
        """The place that stands for all that this one is joined to."""
        above = self._above
        above.setdefault(place, place)
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    def join(self, one: Place, member: Member, others: Iterable[int]) -> None:
        """Join places of a layer to another one."""
        for other in others:
            self._above[self.top((member, other))] = self.top(one)

    def parts(self, order: Mapping[str, int]) -> list[Part]:
        """What hangs together; layers and places in order."""
        found: dict[Place, Part] = {}
        for place in sorted(self._above, key=lambda place: (order[place[0][0]], place)):
            found.setdefault(self.top(place), {}).setdefault(place[0], []).append(place[1])
        return list(found.values())


def _parts(known: Mapping[nn.Module, Map], names: Mapping[nn.Module, str]) -> list[Part]:
    union = _Union()
    for layer, found in known.items():
        giver: Member = (names[layer], "gives")
        for met, owners in found.single.items():
            for place, node in enumerate(owners.tolist()):
                if node >= 0:
                    union.join((giver, node), _member(met, names), (place,))
        for start, end, block in found.blocks:
            union.join((giver, start), giver, range(start + 1, end))
            for met, places in block.items():
                union.join((giver, start), _member(met, names), places.nonzero().flatten().tolist())
    return union.parts({name: i for i, name in enumerate(names.values())})


def _member(met: nn.Module, names: Mapping[nn.Module, str]) -> Member:
    return names[met], "passes" if passes(met) else "reads"


def _grouped(parts: list[Part], reasons: dict[str, str]) -> Coupling:
    """Parts of one kind as one group; and why there is none for the other layers."""
    alike: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        alike.setdefault(tuple((member, len(places)) for member, places in part.items()), []).append(part)
    groups = []
    for same in alike.values():
        givers = [path for path, role in same[0] if role == "gives"]
        stays = [p for p, role in same[0] if p in reasons and (role == "gives" or reasons[p] in FIXED)]
        if stays or len(same) < 2:
            why = f"its nodes meet those of {stays[0]}: {reasons[stays[0]]}" if stays else MIXED
            for path in givers:
                reasons.setdefault(path, why)
            continue
        members = {member: tuple(torch.tensor(part[member]) for part in same) for member in same[0]}
        groups.append(CoupledGroup(givers[0], members))
    return Coupling(groups, reasons)
