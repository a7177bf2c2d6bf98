"""Which of its readers' inputs each single node of a layer is in."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from engine.edit.probing import Probe, Spread

Met: TypeAlias = "dict[nn.Module, Tensor]"  # layer -> (nodes,), True where it was met
Search: TypeAlias = "Generator[Tensor, Met, Map]"  # gives marks (nodes,), is sent what they met
MOST_SEARCHES = 4096


@dataclass
class Map:
    """Where the nodes of one layer go.

    single    for each layer that meets them: the node in each of its places, -1 where there is none
    blocks    nodes start to end that all go to the same places, as those of an attention head do
    """

    single: dict[nn.Module, Tensor] = field(default_factory=dict)
    blocks: list[tuple[int, int, Met]] = field(default_factory=list)


def coloured(spreads: Mapping[nn.Module, Spread]) -> list[list[nn.Module]]:
    """The layers in sets, within which no two are met by the same layer: these can be looked at in one pass."""
    sets: list[tuple[list[nn.Module], set[nn.Module]]] = []
    for layer, spread in spreads.items():
        met = set(spread.met)
        place = next((s for s in sets if not s[1] & met), None)
        if place is None:
            sets.append(([layer], met))
        else:
            place[0].append(layer)
            place[1].update(met)
    return [layers for layers, _ in sets]


def maps(probe: Probe, spreads: Mapping[nn.Module, Spread], layers: Iterable[nn.Module]) -> dict[nn.Module, Map]:
    """Where every node of these layers goes; no two of them may be met by the same layer."""
    searches = {layer: _search(len(probe.marks(layer)), spreads[layer].met) for layer in layers}
    found: dict[nn.Module, Map] = {}
    wanted = {layer: next(search) for layer, search in searches.items()}
    for _ in range(MOST_SEARCHES):
        if not wanted:
            break
        seen = probe.spread(wanted).met
        asked, wanted = wanted, {}
        for layer in asked:
            answer = {met: seen[met] for met in spreads[layer].met if met in seen}
            try:
                wanted[layer] = searches[layer].send(answer)
            except StopIteration as end:
                found[layer] = end.value
    return found


def _search(n: int, everywhere: Met) -> Search:
    """By codes where each place has one node, in log2(n) steps; else along the nodes, by halving.

    everywhere    where any node goes
    """
    ends = [(yield _only(n, 0)), (yield _only(n, n - 1))]
    if all(_same(end, everywhere, 0) for end in ends):  # all are mixed, as behind a layer normalisation
        return Map(blocks=[(0, n, everywhere)])
    single = yield from _by_codes(n)
    return single if single is not None else (yield from _along(n))


def _by_codes(n: int) -> Generator[Tensor, Met, Map | None]:
    """Each node's number in binary: the nodes with a one at a digit are marked, then those with a zero.

    A place that is met by both has several nodes in it: then None.
    """
    nodes = torch.arange(n)
    code: dict[nn.Module, Tensor] = {}
    either: dict[nn.Module, Tensor] = {}
    for digit in range(max((n - 1).bit_length(), 1)):
        ones = yield (nodes >> digit & 1).bool()
        zeros = yield ~(nodes >> digit & 1).bool()
        for met in ones.keys() | zeros.keys():
            none = torch.zeros_like(ones[met] if met in ones else zeros[met])
            one, zero = ones.get(met, none), zeros.get(met, none)
            if bool((one & zero).any()):
                return None
            code[met] = code.get(met, torch.zeros(len(one), dtype=torch.long)) | (one.long() << digit)
            either[met] = either.get(met, torch.zeros(len(one), dtype=torch.bool)) | one | zero
    return Map({met: torch.where(either[met], code[met], -1) for met in code})


def _along(n: int) -> Search:
    """Runs of nodes that either all go to the same places, or each a step further than the one before."""
    found = Map()
    start = 0
    while start < n:
        first = yield _only(n, start)
        steps, end = 0, start + 1
        if end < n:
            second = yield _only(n, end)
            steps = next((steps for steps in (0, 1) if _same(first, second, steps)), -1)
        if steps >= 0 and end < n:
            end = yield from _end_of_run(n, start, first, steps)
        _put(found, n, start, end, first, steps)
        start = end
    return found


def _end_of_run(n: int, start: int, first: Met, steps: int) -> Generator[Tensor, Met, int]:
    """Where a run ends that holds at least its first two nodes."""
    low, reach = start + 1, 1  # low: the last that is known to belong to it
    while low + reach < n and _same(first, (yield _only(n, low + reach)), steps * (low + reach - start)):
        low, reach = low + reach, 2 * reach
    high = min(low + reach, n)  # the first that is known not to
    while high - low > 1:
        middle = (low + high) // 2
        same = _same(first, (yield _only(n, middle)), steps * (middle - start))
        low, high = (middle, high) if same else (low, middle)
    return high


def _only(n: int, node: int) -> Tensor:
    marks = torch.zeros(n, dtype=torch.bool)
    marks[node] = True
    return marks


def _moved(met: Met, steps: int) -> Met:
    """The same places, each layer's as many times further as it has of them."""
    return {layer: places.roll(steps * int(places.sum())) for layer, places in met.items()}


def _same(first: Met, other: Met, steps: int) -> bool:
    if first.keys() != other.keys():
        return False
    return all(torch.equal(places, other[layer]) for layer, places in _moved(first, steps).items())


def _put(found: Map, n: int, start: int, end: int, first: Met, steps: int) -> None:
    if steps < 1:
        found.blocks.append((start, end, first))
        return
    for node in range(start, end):
        for layer, places in _moved(first, node - start).items():
            owner = found.single.setdefault(layer, torch.full((len(places),), -1))
            if bool((owner[places] >= 0).any()):  # two nodes in one place, as in a gate: both stand there
                found.blocks.append((node, node + 1, {layer: places}))
            else:
                owner[places] = node
