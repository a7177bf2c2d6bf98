"""Whether a model gives with nodes cut what it gives without the weights that read them: tried, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.attention import keep_open, open_attention, slowly
from engine.edit.coupling import Coupling, find_coupling
from engine.edit.groups import CoupledGroup, cut
from engine.edit.nodes import without_reading
from engine.errors import first_line
from engine.examples import Inputs, answer_of, count, run, take

NEAR = 1e-3  # of the largest output: sums over fewer channels add up in another order
LEVELS = (0, 1, 2)
CHANGED = "cut by half, the model gives something else than without what reads its nodes"
FAULTS = (RuntimeError, AssertionError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError)


@torch.no_grad()
def tried_coupling(model: nn.Module, examples: Inputs, protected: frozenset[str] = frozenset()) -> Coupling:
    """The groups of nodes that can be cut, torch's own attention taken apart; and why the other layers stay.

    Of each group half of the nodes are cut in a copy, which must give, for one example and for all of them, what the
    model gives when the weights that read these nodes are zero. Where modules count heads or nodes, these numbers are
    set, too, if nothing else will do.

    model        only read
    examples     a batch (n, ...), n > 1
    protected    paths of layers whose nodes stay
    """
    opened = open_attention(structural_copy(model))
    parts = [take(examples, slice(n)) for n in (1, count(examples))]
    found = find_coupling(opened, parts[0], protected)
    with slowly():
        return _those_that_run(opened, found, parts)


def _those_that_run(opened: nn.Module, found: Coupling, parts: Sequence[Inputs]) -> Coupling:
    groups = found.groups
    if not _fault(opened, groups, parts):
        return found
    known: dict[object, int] = {}  # by kind: blocks that repeat need the same
    for group in groups:
        if (kind := _kind(opened, group)) not in known:
            known[kind] = _level(opened, group, parts)[0]
    likely = [replace(group, level=known[_kind(opened, group)]) for group in groups]
    likely = [group for group in likely if group.level >= 0]
    if len(likely) == len(groups) and not _fault(opened, likely, parts):
        return Coupling(likely, found.reasons)
    kept = []
    for group in groups:
        level, fault = _level(opened, group, parts)
        if level >= 0:
            kept.append(replace(group, level=level))
        else:
            found.reasons.update(dict.fromkeys(group.layers, fault))
    return Coupling(kept, found.reasons)


def _kind(model: nn.Module, group: CoupledGroup) -> object:
    """What groups of repeated blocks have in common."""
    parts = [(path.rpartition("."), role) for path, role in group.members]
    return tuple((type(model.get_submodule(parent)).__qualname__, leaf, role) for (parent, _, leaf), role in parts)


def _level(model: nn.Module, group: CoupledGroup, parts: Sequence[Inputs]) -> tuple[int, str]:
    """The lowest level at which a group can be cut; -1 where there is none, and why."""
    faults = []
    for level in LEVELS:
        faults.append(_fault(model, [replace(group, level=level)], parts))
        if not faults[-1]:
            return level, ""
    return -1, faults[0]


def _fault(model: nn.Module, groups: Sequence[CoupledGroup], parts: Sequence[Inputs]) -> str:
    """Why half of the nodes of these groups cannot be cut together, or nothing."""
    # unlike shares, so that groups which must keep the same number are found out
    chosen = [(group, range(1, max(group.nodes, 2 + i % 2), 2 + i % 2)) for i, group in enumerate(groups)]
    chosen = [(group, nodes) for group, nodes in chosen if len(nodes) < group.nodes]
    silent = structural_copy(model)
    for group, nodes in chosen:
        for (path, role), places in group.members.items():
            if role == "reads":
                without_reading(silent.get_submodule(path), torch.cat([places[node] for node in nodes]))
    wanted = [run(silent, inputs) for inputs in parts]
    try:
        smaller = keep_open(cut(structural_copy(model), chosen))
        given = [run(smaller, inputs) for inputs in parts]
    except FAULTS as error:
        return f"cut by half, the model does not run: {first_line(error)}"
    return "" if all(_near(a, b) for a, b in zip(wanted, given, strict=True)) else CHANGED


def _near(wanted: object, given: object) -> bool:
    pairs: list[tuple[Tensor, Tensor]] = list(zip(answer_of(wanted), answer_of(given), strict=False))
    return len(answer_of(wanted)) == len(answer_of(given)) and all(
        a.shape == b.shape and bool(((a - b).abs() <= NEAR * a.abs().max().clamp_min(1e-6)).all())
        for a, b in pairs
        if a.numel()
    )
