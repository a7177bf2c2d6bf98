"""Layers that are called by name, or give more than a tensor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.copying import structural_copy
from engine.edit.blocks import Block, around, find_blocks, take_out
from tests.methods.nets import random_inputs

X = random_inputs(6, 5, 4)


class Layer(nn.Module):
    """x + L(x), and what `gives` makes of it."""

    def __init__(self, gives: Any) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.gives = gives
        self.kind = "full"

    def forward(self, hidden: Tensor, mask: Tensor | None = None, bias: Tensor | None = None) -> Any:
        return self.gives(hidden + self.inner(hidden), mask, bias)


class Net(nn.Module):
    """Three layers, called as `call` says, and what `read` takes of their answers."""

    def __init__(self, gives: Any, call: Any, read: Any) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.layers = nn.ModuleList(Layer(gives) for _ in range(3))
        self.call, self.read = call, read

    def forward(self, x: Tensor) -> Tensor:
        mask = x.sum(-1)
        for layer in self.layers:
            x = self.read(self.call(layer, x, mask))
        return x


def by_place(layer: nn.Module, x: Tensor, mask: Tensor) -> Any:
    return layer(x, mask)


def by_name(layer: nn.Module, x: Tensor, mask: Tensor) -> Any:
    return layer(hidden=x, mask=mask)


def asked(layer: nn.Module, x: Tensor, mask: Tensor) -> Any:
    assert layer.kind == "full"
    return layer(x)


def first(answer: Any) -> Tensor:
    return answer[0]


FOUND = {
    "a tensor": (lambda y, mask, bias: y, by_place, lambda y: y),
    "by name": (lambda y, mask, bias: y, by_name, lambda y: y),
    "a tuple of one": (lambda y, mask, bias: (y,), by_place, first),
    "the rest is None": (lambda y, mask, bias: (y, None), by_name, first),
    "the rest is handed through": (lambda y, mask, bias: (y, mask), by_name, lambda a: a[0] + 0 * a[1][..., None]),
    "nobody reads the rest": (lambda y, mask, bias: (y, y.softmax(-1)), by_place, first),
    "somebody asks its kind": (lambda y, mask, bias: y, asked, lambda y: y),
}
LEFT = {
    "the rest is read": (lambda y, mask, bias: (y, y.mean(-1)), by_place, lambda a: a[0] * a[1][..., None]),
    "the rest is read, but not missed": (
        lambda y, mask, bias: (y, y.mean(-1)),
        by_place,
        lambda a: a[0] if a[1] is None else a[0] * a[1][..., None],
    ),
    "whole numbers": (lambda y, mask, bias: (y, y.argmax(-1)), by_place, first),
    "a list": (lambda y, mask, bias: [y], by_place, first),
    "another shape first": (lambda y, mask, bias: (y.sum(-1), y), by_place, lambda a: a[1]),
}


@pytest.mark.parametrize("how", FOUND.values(), ids=FOUND)
def test_a_layer_is_found_whatever_it_is_called_by_and_whatever_else_it_gives(how: tuple[Any, Any, Any]) -> None:
    net = Net(*how)
    blocks = find_blocks(net, X[:2])
    assert [block.path for block in blocks] == ["layers.0", "layers.1", "layers.2"]
    assert blocks[0].follows == ""
    without = take_out(structural_copy(net), blocks[:2])
    last = net.layers[2]
    torch.testing.assert_close(without(X), X + last.inner(X))


@pytest.mark.parametrize("how", FOUND.values(), ids=FOUND)
def test_what_a_layer_is_given_and_gives_is_seen(how: tuple[Any, Any, Any]) -> None:
    net = Net(*how)
    seen: list[tuple[str, Tensor, Tensor]] = []

    def visit(block: Block, before: Tensor, after: Tensor) -> None:
        seen.append((block.path, before, after))

    around(net, find_blocks(net, X[:2]), X, visit)
    x = X
    for layer, (path, before, after) in zip(net.layers, seen, strict=True):
        assert torch.equal(before, x), path
        x = x + layer.inner(x)
        torch.testing.assert_close(after, x)


@pytest.mark.parametrize("how", LEFT.values(), ids=LEFT)
def test_a_layer_whose_answer_cannot_be_made_up_is_none_itself(how: tuple[Any, Any, Any]) -> None:
    assert not {"layers.0", "layers.1", "layers.2"} & {block.path for block in find_blocks(Net(*how), X[:2])}


def test_a_stage_that_only_hands_through_is_looked_into() -> None:
    class Stage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Layer(lambda y, mask, bias: y), Layer(lambda y, mask, bias: y)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x))

    class Around(Stage):
        def forward(self, x: Tensor) -> Tensor:
            return x + super().forward(x)

    found = find_blocks(nn.Sequential(Stage(), Around()), X[:2])
    assert [(block.path, block.follows) for block in found] == [("0.a", ""), ("0.b", "0.a"), ("1", "0.b")]


def test_a_layer_that_the_model_cannot_run_without_is_left_out() -> None:
    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.other(self.layer(x) @ self.layer.weight)

    assert [block.path for block in find_blocks(Reading(), X[:2])] == ["other"]


class Writing(nn.Module):
    """Writes into what a layer gave, and reads again what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.inner(x)
        y *= 2
        return self.last(x + y)


def test_what_is_written_into_behind_a_layer_that_went_is_a_copy() -> None:
    net, inputs = Writing().eval(), random_inputs(3, 4)
    blocks = {block.path: block for block in find_blocks(net, inputs)}
    assert blocks["inner"].copies
    assert not blocks["first"].copies
    variant = take_out(structural_copy(net), [blocks["inner"]])
    x = net.first(inputs)
    torch.testing.assert_close(variant(inputs), net.last(x + 2 * x))
    variant(inputs).sum().backward()


class Pair(nn.Module):
    """torch's own encoder and decoder, of two layers each."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Transformer(8, 2, 2, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.both(x, x))


def test_all_layers_of_torchs_own_stacks_can_go() -> None:
    net, inputs = Pair().eval(), random_inputs(3, 5, 8)
    blocks = find_blocks(net, inputs)
    assert len(blocks) == 4
    both = net.both
    variant = take_out(structural_copy(net), blocks)
    torch.testing.assert_close(variant(inputs), net.head(both.decoder.norm(inputs)))
    two = take_out(structural_copy(net), [blocks[0], blocks[3]])
    assert (len(two.both.encoder.layers), len(two.both.decoder.layers)) == (1, 1)
    seen = both.encoder.norm(both.encoder.layers[1](inputs))
    torch.testing.assert_close(two(inputs), net.head(both.decoder.norm(both.decoder.layers[0](inputs, seen))))
