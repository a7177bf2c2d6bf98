"""`secateur map`."""

from __future__ import annotations

import re

import pytest

from engine import available_methods
from tests.foreign import REFERENCES

from .conftest import Cli


def test_every_layer_has_a_tick_or_the_number_of_a_reason_for_every_method(good: Cli) -> None:
    lines = good("map", "digits_mlp").out.splitlines()
    methods = list(available_methods())
    legend = dict(line.split() for line in lines[1 : len(methods) + 1])
    assert list(legend.values()) == methods
    (head,) = [line for line in lines if line.startswith("layer ")]
    assert head.split()[-len(methods) :] == list(legend)
    rows = {line.split()[0]: line.split()[3:] for line in lines if re.match(r"(first|blocks\.\d\.\w+|head) ", line)}
    assert len(rows) == 10
    assert rows["blocks.0.up"] == ["✓"] * len(methods)
    reasons = dict(line.strip().split(" ", 1) for line in lines if re.match(r" +\d+ ", line))
    assert list(reasons) == [str(number) for number in range(1, len(reasons) + 1)]
    cut = rows["head"][methods.index("node_pruning")]
    assert reasons[cut] == "its nodes are the model's outputs"
    assert {mark for row in rows.values() for mark in row} == {"✓", *reasons}
    assert "node_pruning blocks.0.up: 256 nodes of 1, ✓; blocks.0.up" in lines
    assert "layer_pruning blocks.0: block, ✓; blocks.0.up, blocks.0.down" in lines


def test_a_workload_of_ones_own_and_some_methods_as_an_object(good: Cli) -> None:
    found = good("map", REFERENCES["lstm"], "--method", "node_pruning", "--method", "repair", "--json").json
    assert found["model"] == "lstm"
    assert found["batches"] == [1, 3]
    assert [name for name, _ in found["tried"]] == ["node_pruning", "repair"]
    rows = {row["layer"]: row for row in found["layers"]}
    assert set(rows) == {"embed", "lstm", "head.0", "head.2"}
    assert set(rows["lstm"]["methods"]) == {"node_pruning", "repair"}
    told = rows["lstm"]["methods"]["node_pruning"]
    assert told == {"treatable": False, "reason": "the nodes of a recurrent layer stay", "treated_with": []}
    assert rows["head.0"]["methods"]["repair"]["treatable"]
    assert [(one["root"], one["nodes"]) for one in found["together"]] == [("head.0", 16)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("digits_mlp", "--method", "nodes"), "method must be one of knowledge_distillation, "),
        (("no_such_model",), "model must be one of "),
    ],
)
def test_what_is_not_there_is_one_sentence(cli: Cli, arguments: tuple[str, ...], sentence: str) -> None:
    answer = cli("map", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith(f"secateur: {sentence}")
    assert answer.err.count("\n") == 1
