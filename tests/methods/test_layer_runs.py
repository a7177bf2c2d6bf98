"""Runs of layers by angular distance, and layers that go greedily, against a search through all that could go."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor, nn

from engine import Cancelled, Context, Recipe
from engine.edit.blocks import find_blocks
from engine.edit.judging import validation_part, worth
from engine.edit.runs import chains, distances, nearest_runs
from engine.edit.scores import angular_distance
from engine.edit.surgery import Skip
from tests.methods.nets import Listening, context_of, explored, random_inputs
from tests.methods.test_layer_pruning import Chain, Skipping, chain, only
from tests.tiny import tiny

X = random_inputs(40, 4)
Y = torch.arange(40) % 3


class Stages(nn.Module):
    """Three blocks of four wide, a layer to six, four blocks of six wide, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*(Skipping(strength) for strength in (0.5, 0.1, 0.7)))
        self.wider = nn.Linear(4, 6)
        self.second = nn.ModuleList(Wide(strength) for strength in (0.2, 0.9, 0.3, 0.05))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.wider(self.first(x))
        for block in self.second:
            x = block(x)
        return self.head(x)


class Wide(Skipping):
    def __init__(self, strength: float) -> None:
        super().__init__(strength)
        self.inner = nn.Linear(6, 6)


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return kind()


def context(net: nn.Module, **options: object) -> Context:
    return context_of(explored(net, X, Y), **options)  # type: ignore[arg-type]


def gone(net: nn.Module, form: str, amount: float) -> list[str]:
    """The paths of the layers that went."""
    variant = Recipe.of([["layer_pruning", {"form": form, "amount": amount}]]).apply_in(context(net))
    return [path for path, module in variant.named_modules() if isinstance(module, Skip)]


@pytest.mark.parametrize(("after", "wanted"), [([0.0, 2.0], 0.5), ([3.0, 0.0], 0.0), ([-1.0, 0.0], 1.0)])
def test_the_angular_distance_by_hand(after: list[float], wanted: float) -> None:
    before = torch.tensor([[1.0, 0.0]])
    assert float(angular_distance(before, torch.tensor([after]), per_place=True)) == pytest.approx(wanted, abs=1e-7)


def test_the_angular_distance_is_the_mean_over_places_for_tokens_and_over_pictures_for_channels() -> None:
    x, y = random_inputs(3, 5, 4), random_inputs(3, 5, 4, seed=2)

    def angle(a: Tensor, b: Tensor) -> float:
        return math.acos(float(a.flatten() @ b.flatten() / a.norm() / b.norm())) / math.pi

    tokens = sum(angle(x[i, j], y[i, j]) for i in range(3) for j in range(5)) / 15
    pictures = sum(angle(x[i], y[i]) for i in range(3)) / 3
    assert float(angular_distance(x, y, per_place=True)) == pytest.approx(tokens, rel=1e-5)
    assert float(angular_distance(x, y, per_place=False)) == pytest.approx(pictures, rel=1e-5)


@pytest.mark.parametrize("goes", [1, 2, 3, 4])
def test_the_run_goes_that_turns_its_input_least_of_all_runs_of_that_length(goes: int) -> None:
    net = chain(0.9, 0.1, 2.0, 0.3, 0.4)
    states = [X]
    for block in net.blocks:
        states.append(block(states[-1]).detach())
    cosine = nn.functional.cosine_similarity
    turns = [float(cosine(a, b).double().arccos().mean()) for a, b in zip(states, states[goes:], strict=False)]
    start = turns.index(min(turns))
    assert gone(net, "angular_distance", goes / 5) == [f"blocks.{i}" for i in range(start, start + goes)]


def runs_of(chosen: tuple[int, ...], rows: list[list[int]]) -> list[tuple[int, int]]:
    """The runs that places make."""
    found = []
    for row in rows:
        inside = [i for i in row if i in chosen]
        breaks = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(inside)) if b != a + 1), len(inside)]
        found += [(inside[a], inside[b - 1]) for a, b in pairwise(breaks) if b > a]
    return found


@pytest.mark.parametrize("goes", range(7))
def test_over_stages_the_fewest_runs_go_and_of_those_the_ones_that_turn_least_together(goes: int) -> None:
    net = seeded(Stages)
    here = context(net)
    blocks = find_blocks(net, X[:2])
    rows = chains(blocks)
    assert rows == [[0, 1, 2], [3, 4, 5, 6]]
    far = distances(net, blocks, here, 40)

    def cost(chosen: tuple[int, ...]) -> tuple[int, float]:
        runs = runs_of(chosen, rows)
        return len(runs), sum(far[run] for run in runs)

    wanted = min(combinations(range(7), goes), key=cost)
    assert nearest_runs(rows, far, goes) == list(wanted)
    assert gone(net, "angular_distance", goes / 7) == [blocks[i].path for i in wanted]


def test_blocks_that_a_layer_stands_between_are_not_in_one_row() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3))
    assert chains(find_blocks(net, X[:2])) == [[0], [1, 2]]
    written = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4), nn.Linear(4, 3))
    assert chains(find_blocks(written, X[:2])) == [[0], [1]]


def scores(net: Chain, stay: list[int]) -> tuple[float, float]:
    """Validation score, and minus the loss, of the net with these blocks alone: by hand."""
    with torch.no_grad():
        outputs = only(net, stay)(X)
    right = float((outputs.argmax(1) == Y).double().mean())
    return right, -float(nn.functional.cross_entropy(outputs, Y))


def test_the_first_to_go_greedily_is_the_one_that_a_search_finds_and_the_next_is_the_next() -> None:
    net = chain(0.3, 1.5, 2.0, 0.7, 1.0)
    stay = list(range(5))
    for goes in range(1, 5):
        worst = max(stay, key=lambda place: scores(net, [i for i in stay if i != place]))
        stay.remove(worst)
        assert gone(net, "greedy", goes / 5) == [f"blocks.{i}" for i in range(5) if i not in stay]


def test_what_goes_greedily_is_nested_and_found_once_for_a_whole_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr("engine.edit.judging.worth", lambda *given: calls.append(1) or worth(*given))
    here = context(chain(0.3, 1.5, 2.0, 0.7, 1.0))
    sets = []
    for amount in (0.8, 0.2, 0.4, 0.6):
        variant = Recipe.of([["layer_pruning", {"form": "greedy", "amount": amount}]]).apply_in(here)
        sets.append({path for path, module in variant.named_modules() if isinstance(module, Skip)})
    assert len(calls) == 5 + 4 + 3 + 2
    assert sorted(map(len, sets)) == [1, 2, 3, 4]
    ordered = sorted(sets, key=len)
    assert all(small < large for small, large in pairwise(ordered))


def test_no_more_validation_examples_than_asked_are_looked_at() -> None:
    here = context(chain(1.0, 0.5))
    seen: list[int] = []
    here.original.head.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    Recipe.of([["layer_pruning", {"form": "greedy", "amount": 0.5, "examples": 17}]]).apply_in(here)
    assert max(seen) == 17
    inputs, targets = validation_part(here, 17)
    assert len({tuple(row.tolist()) for row in inputs}) == 17
    assert all(any(torch.equal(x, row) and y == target for row, target in zip(X, Y, strict=True))
               for x, y in zip(inputs, targets, strict=True))  # fmt: skip


def test_what_a_model_is_worth_is_its_score_and_loss_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    net = chain(0.3, 1.5)
    here = context(net)
    for batch in (7, 256):
        monkeypatch.setattr("engine.edit.judging.BATCH", batch)
        assert worth(net, here, here.validation) == pytest.approx(scores(net, [0, 1]), rel=1e-5)


@pytest.mark.parametrize("form", ["block_influence", "angular_distance", "greedy"])
def test_a_search_can_be_cancelled(form: str) -> None:
    line = Listening(stop_after=0)
    here = context(chain(1.0, 0.5))
    step = Recipe.of([["layer_pruning", {"form": form, "amount": 0.5}]]).steps[0]
    object.__setattr__(here, "channel", line)
    with pytest.raises(Cancelled):
        step.edit(here.original, here)


@pytest.mark.parametrize("form", ["formula", "block_influence", "angular_distance", "greedy"])
def test_the_right_layers_of_torchs_own_stack_stay_where_two_go(form: str) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Flatten(), nn.Linear(12, 3))
    with torch.no_grad():
        for i, parameter in enumerate(net.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(i)))
    here = context_of(explored(net.eval(), random_inputs(20, 3, 4)))
    name = "alpha" if form == "formula" else "amount"
    (step,) = Recipe.of([["layer_pruning", {"form": form, name: 0.5}]]).steps
    chosen = step._chosen(here.original, find_blocks(here.original, here.examples(2)), here)
    variant = Recipe((step,)).apply_in(here)
    stay = [i for i in range(4) if i not in chosen]
    for left, place in zip(variant[0].layers, stay, strict=True):
        assert left.linear1.weight is here.original[0].layers[place].linear1.weight


@pytest.mark.parametrize("form", ["angular_distance", "greedy"])
@pytest.mark.parametrize(("model", "blocks"), [("residual", 3), ("attention", 2), ("own_attention", 2)])
def test_exactly_the_rounded_share_goes(form: str, model: str, blocks: int) -> None:
    workload = tiny(model)
    for share in (0.0, 0.34, 0.5, 0.67, 0.99):
        variant = Recipe.of([["layer_pruning", {"form": form, "amount": share}]]).apply(workload, device="cpu")
        assert len(find_blocks(variant, workload.example)) == max(1, blocks - round(share * blocks))
