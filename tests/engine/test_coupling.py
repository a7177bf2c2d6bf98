"""Nodes that hang together are found in any net; to cut them is to do without what reads them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.copying import structural_copy
from engine.edit.attention import keep_open, open_attention, slowly
from engine.edit.coupling import Coupling, find_coupling
from engine.edit.groups import cut
from engine.edit.probing import Probe
from engine.edit.reading import maps
from engine.edit.trying import tried_coupling
from engine.examples import take
from tests.methods.nets import random_inputs
from tests.tiny import MAKERS, tiny

WIDTH, HEADS = 12, 3


class Heads(nn.Module):
    """Attention written out, in one of the ways that people do."""

    def __init__(self, layout: str, shared: int = 1) -> None:
        super().__init__()
        self.layout, self.num_heads, self.shared = layout, HEADS * shared, shared
        wide, d = WIDTH * shared, WIDTH // HEADS
        self.d = d
        if layout == "apart":
            self.query, self.key, self.value = nn.Linear(WIDTH, wide), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        else:
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(wide, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        if self.layout == "apart":
            q, k, v = (f(x).view(n, length, -1, self.d).transpose(1, 2) for f in (self.query, self.key, self.value))
            k, v = (y.repeat_interleave(self.shared, dim=1) for y in (k, v))
        elif self.layout == "stacked":  # all queries, then all keys, then all values
            q, k, v = self.qkv(x).view(n, length, 3, self.num_heads, self.d).permute(2, 0, 3, 1, 4)
        elif self.layout == "by head":
            q, k, v = self.qkv(x).view(n, length, self.num_heads, 3, self.d).permute(3, 0, 2, 1, 4)
        else:  # the places of a head lie apart
            q, k, v = self.qkv(x).view(n, length, 3, self.d, self.num_heads).permute(2, 0, 4, 1, 3)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(mixed)


class Transformer(nn.Module):
    def __init__(self, layout: str, shared: int = 1) -> None:
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        self.first, self.second = Heads(layout, shared), Heads(layout, shared)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.second(self.first(self.embed(x)))).mean(1))


class Shuffled(nn.Module):
    """Channels are turned round, put behind others, and flattened, before they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(2, 6, 3), nn.Conv2d(2, 5, 3)
        self.norm, self.head = nn.BatchNorm2d(11), nn.Linear(11 * 4, 3)
        self.register_buffer("order", torch.tensor([3, 9, 0, 10, 5, 7, 1, 2, 8, 4, 6]))

    def forward(self, x: Tensor) -> Tensor:
        both = self.norm(torch.cat([self.one(x), self.other(x)], 1))
        return self.head(torch.relu(both[:, self.order]).flatten(1))


class Squeezed(nn.Module):
    """A gate of two small layers scales the channels of a residual branch with norms of groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.wide, self.norm = nn.Conv2d(8, 12, 1), nn.GroupNorm(4, 12)
        self.deep = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.down, self.up = nn.Linear(12, 4), nn.Linear(4, 12)
        self.narrow, self.head = nn.Conv2d(12, 8, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = torch.relu(self.deep(self.norm(self.wide(x))))
        y = y * torch.sigmoid(self.up(torch.relu(self.down(y.mean((2, 3))))))[..., None, None]
        return self.head((x + self.narrow(y)).mean((2, 3)))


class Up(nn.Module):
    """Down and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up, self.last = nn.Conv1d(2, 6, 4, 2, 1), nn.ConvTranspose1d(6, 5, 4, 2, 1), nn.Conv1d(7, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([x, torch.relu(self.up(torch.relu(self.down(x))))], 1))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "heads apart": (lambda: Transformer("apart"), (4, 5)),
    "heads grouped": (lambda: Transformer("apart", 2), (4, 5)),
    "heads stacked": (lambda: Transformer("stacked"), (4, 5)),
    "heads by head": (lambda: Transformer("by head"), (4, 5)),
    "heads spread": (lambda: Transformer("spread"), (4, 5)),
    "shuffled": (Shuffled, (2, 4, 4)),
    "squeezed": (Squeezed, (2, 4, 4)),
    "up": (Up, (2, 8)),
}  # fmt: skip


def made(name: str) -> tuple[nn.Module, Tensor]:
    build, shape = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().eval(), random_inputs(3, *shape)


def without(net: nn.Module, coupling: Coupling, chosen: list[list[int]]) -> nn.Module:
    """The net, on its own, with the weights at zero that read these nodes."""
    silent = copy.deepcopy(open_attention(structural_copy(net)))
    for group, nodes in zip(coupling.groups, chosen, strict=True):
        for (path, role), places in group.members.items():
            weight = silent.get_submodule(path).weight.data
            if role == "reads" and nodes:
                columns = torch.cat([places[node] for node in nodes])
                transposed = isinstance(silent.get_submodule(path), nn.ConvTranspose1d | nn.ConvTranspose2d)
                (weight if transposed else weight.transpose(0, 1))[columns] = 0
    return silent


@pytest.mark.parametrize("name", [*(name for name in NETS if name != "shuffled"), *MAKERS])
@torch.no_grad()
def test_to_cut_nodes_is_to_do_without_what_reads_them(name: str) -> None:
    net, inputs = made(name) if name in NETS else (tiny(name).model(), take(tiny(name).train[0], slice(3)))
    coupling = tried_coupling(net, inputs)
    assert coupling.groups
    draw = torch.Generator().manual_seed(1)
    for _ in range(3):
        chosen = [
            sorted(torch.randperm(g.nodes, generator=draw)[: int(torch.randint(g.nodes, (), generator=draw))].tolist())
            for g in coupling.groups
        ]
        opened = open_attention(structural_copy(net))
        smaller = keep_open(cut(opened, zip(coupling.groups, chosen, strict=True)))
        with slowly():
            wanted = without(net, coupling, chosen)(inputs)
        torch.testing.assert_close(smaller(inputs), wanted, rtol=1e-4, atol=1e-5)
        gone = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in smaller.parameters())
        assert (gone > 0) == any(chosen)


@pytest.mark.parametrize("name", [name for name in NETS if name.startswith("heads")])
def test_heads_are_found_and_nobody_says_how_many(name: str) -> None:
    groups = tried_coupling(*made(name)).groups
    assert [group.nodes for group in groups] == [HEADS, HEADS]
    assert all(group.root.startswith(("first.", "second.")) for group in groups)


def test_torchs_own_attention_loses_heads_and_stays_apart() -> None:
    net = tiny("attention").model()
    inputs = take(tiny("attention").train[0], slice(3))
    coupling = tried_coupling(net, inputs)
    heads = [group for group in coupling.groups if "self_attn" in group.root]
    assert [group.nodes for group in heads] == [2, 2]
    smaller = keep_open(cut(open_attention(structural_copy(net)), [(heads[0], [1])]))
    first, second = (layer.self_attn for layer in smaller.encoder.layers)
    assert (first.num_heads, first.query.out_features, first.in_proj_weight) == (1, 4, None)
    assert type(second) is nn.MultiheadAttention
    assert (
        sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in smaller.parameters()) == 4 * (4 * 8) + 3 * 4
    )


def test_channels_are_followed_through_any_order() -> None:
    net, inputs = made("shuffled")
    groups = {group.root: group for group in find_coupling(net, inputs[:1]).groups}
    behind = {int(channel): place for place, channel in enumerate(net.order)}
    for root, first in (("one", 0), ("other", 6)):
        for node, places in enumerate(groups[root].members["head", "reads"]):
            start = 4 * behind[first + node]
            assert places.tolist() == list(range(start, start + 4))


def test_norms_of_groups_and_gates_keep_what_belongs_together() -> None:
    net, inputs = made("squeezed")
    groups = {group.root: group for group in tried_coupling(net, inputs).groups}
    assert groups["wide"].nodes == 4
    assert set(groups["wide"].layers) == {"wide", "norm", "deep", "up"}
    assert groups["wide"].each == 3
    smaller = cut(structural_copy(net), [(groups["wide"], [0, 2])])
    assert (smaller.norm.num_groups, smaller.norm.num_channels, smaller.deep.groups) == (2, 6, 6)
    assert groups["down"].nodes == 4


def test_every_map_says_what_single_marks_say() -> None:
    net, inputs = made("heads stacked")
    probe = Probe(net, inputs[:1])
    layer = net.first.qkv
    spread = probe.spread({layer: probe.marks(layer)})
    found = maps(probe, {layer: spread}, [layer])[layer]
    for node in range(3 * WIDTH):
        wanted = probe.spread({layer: probe.marks(layer, torch.tensor([node]))}).met[net.first.out]
        given = found.single[net.first.out] == node if net.first.out in found.single else torch.zeros(WIDTH, dtype=bool)
        for start, end, block in found.blocks:
            if start <= node < end:
                given = given | block[net.first.out]
        assert torch.equal(wanted, given), node
