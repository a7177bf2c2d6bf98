"""The treatability map of architectures: each verdict has been tried, each reason says what stands in the way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine import Cancelled, Channel, Treatability, Workload, available_methods, treatability_map
from engine.dry_run import strongest
from engine.metrics.layers import layer_paths
from tests.architectures.every import architecture
from tests.methods.nets import explored, random_inputs

# architecture, layer, method -> how its reason begins or what it says
REASONS = [
    ("vgg", "head.4", "node_pruning", "its nodes are the model's outputs"),
    ("tied_lm", "embed", "node_pruning", "its weights are shared with another layer"),
    ("tied_lm", "out", "repair", "its weights are shared with another layer"),
    ("alexnet", "conv3", "node_pruning", "a view with a fixed size reads its nodes: shape '[-1, 288]' is invalid"),
    ("tied_lm", "blocks.0.mix.qkv", "node_pruning", "a view with a fixed size reads its nodes"),
    ("mobilenet", "1.0.0", "structure_optimization", "it is a depthwise convolution"),
    ("resnext", "1.body.1.0", "structure_optimization", "it is one in 4 groups"),
    ("resnext", "1.body.1.0", "node_pruning", "it is one in 4 groups"),
    ("used_twice", "step", "layer_pruning", "it runs 3 times in one pass"),
    ("used_twice", "step", "repair", "it runs 3 times in one pass"),
    ("gru", "gru", "node_pruning", "the nodes of a recurrent layer stay"),
    ("gated_mlp", "4", "node_pruning", "it has one node, which stays"),
    ("torch_encoder", "out", "layer_pruning", "it lies in no layer whose input and output shapes agree"),
    ("vgg", "features.0.1", "weight_clipping", "it has no weights of two or more dimensions"),
]
NAMES = sorted({row[0] for row in REASONS})


@pytest.fixture(scope="module")
def maps() -> dict[str, Treatability]:
    return {}


def mapped(maps: dict[str, Treatability], name: str) -> Treatability:
    if name not in maps:
        maps[name] = treatability_map(architecture(name))
    return maps[name]


@pytest.mark.parametrize(("name", "layer", "method", "reason"), REASONS, ids=[f"{n}-{p}-{m}" for n, p, m, _ in REASONS])
def test_the_reason_says_what_stands_in_the_way(
    maps: dict[str, Treatability], name: str, layer: str, method: str, reason: str
) -> None:
    verdict = {one.path: one for one in mapped(maps, name).layers}[layer].verdicts[method]
    assert not verdict.treatable
    assert reason in verdict.reason


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_has_a_verdict_of_every_method(maps: dict[str, Treatability], name: str) -> None:
    found, model = mapped(maps, name), architecture(name).model()
    assert [one.path for one in found.layers] == layer_paths(model)
    assert [step.name for step in found.steps] == list(available_methods())
    for one in found.layers:
        assert set(one.verdicts) == set(available_methods()), one.path
        assert all(verdict.treatable != bool(verdict.reason) for verdict in one.verdicts.values()), one.path
        assert one.parameters == sum(p.numel() for p in model.get_submodule(one.path).parameters())


@pytest.mark.parametrize("name", ["vgg", "torch_encoder"])
def test_groups_and_blocks_are_listed(maps: dict[str, Treatability], name: str) -> None:
    found = mapped(maps, name)
    by_method = {m: [one for one in found.together if one.method == m] for m in ("node_pruning", "layer_pruning")}
    assert {one.method for one in found.together} == set(by_method)
    assert all(one.verdict.treatable and one.layers for one in found.together)
    roots = {one.root: (one.nodes, one.each) for one in by_method["node_pruning"]}
    if name == "vgg":
        assert roots["features.4.0"] == (32, 1)
        assert roots["head.1"] == (48, 1)
    else:
        assert {one.root for one in by_method["layer_pruning"]} == {f"encoder.layers.{i}" for i in range(3)}
        assert [each for nodes, each in roots.values() if nodes == 4] == [6] * 3  # four heads of six numbers


class Counts(nn.Module):
    """Breaks where its layer is not as it was, and only with a batch of one."""

    def __init__(self, change: str) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)
        self.change, self.known = change, float(self.second.weight.detach().sum())

    def forward(self, x: Tensor) -> Tensor:
        now = float(self.second.weight.detach().sum())
        if now != self.known and (len(x) == 1 or self.change == "shape"):
            if self.change == "breaks":
                raise ValueError("only as it was")
            return self.second(torch.relu(self.first(x)))[:, :2]
        return self.second(torch.relu(self.first(x)))


@pytest.mark.parametrize(("change", "reason"), [("breaks", "only as it was"), ("shape", "(1, 2) instead of (1, 3)")])
def test_a_claim_that_does_not_hold_at_one_batch_size_is_no_claim(change: str, reason: str) -> None:
    workload = explored(Counts(change), random_inputs(20, 4))
    found = {one.path: one.verdicts for one in treatability_map(workload, ["structure_optimization"]).layers}
    assert found["first"]["structure_optimization"].treatable
    assert not found["second"]["structure_optimization"].treatable
    assert reason in found["second"]["structure_optimization"].reason


def test_a_method_that_treats_nothing_says_why_of_every_layer() -> None:
    net = nn.Sequential(nn.Embedding(5, 4), nn.Flatten())
    inputs = torch.randint(5, (20, 2), generator=torch.Generator().manual_seed(0))
    (one,) = treatability_map(explored(net, inputs), ["structure_optimization"]).layers
    assert "must find linear layers or convolutions" in one.verdicts["structure_optimization"].reason


def test_a_method_is_tried_at_its_strongest() -> None:
    methods = available_methods()
    assert strongest(methods["node_pruning"]).values["amount"] == pytest.approx(0.95)
    assert strongest(methods["structure_optimization"]).values["rank"] == 0
    assert strongest(methods["parameter_optimization"]).values["steps"] == 1


def test_heads_that_share_a_key_go_together() -> None:
    found = treatability_map(architecture("llama_grouped"), ["node_pruning"])
    heads = [one for one in found.together if one.root.endswith(("q_proj", "k_proj", "v_proj"))]
    assert heads
    assert {one.nodes for one in heads} == {2}
    assert all(len(one.layers) > 1 for one in heads)


class Impatient(Channel):
    def cancelled(self) -> bool:
        return True


def test_it_can_be_stopped() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    workload: Workload = explored(net, random_inputs(20, 4))
    with pytest.raises(Cancelled):
        treatability_map(workload, ["node_pruning"], channel=Impatient())
