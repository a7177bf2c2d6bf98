"""A convolution as two, split both ways: the same outputs at full rank, the nearest weight below it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import pytest
import torch
from torch import Tensor, nn

from engine import Context, Recipe
from engine.edit.factors import FactoredConvolution, as_matrix, factored
from engine.edit.ranks import break_even, energy_rank, rank_of
from engine.edit.spectra import singular
from tests.methods.nets import context_of, edited, explored, random_inputs
from tests.states import contents
from tests.tiny import tiny

CONVOLUTIONS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "1d": (nn.Conv1d(5, 12, 4, stride=2, padding=3, dilation=2), (2, 5, 17)),
    "1d-circular": (nn.Conv1d(5, 12, 3, padding=1, padding_mode="circular"), (2, 5, 17)),
    "2d": (nn.Conv2d(4, 12, 3, padding=1), (2, 4, 9, 9)),
    "2d-uneven": (nn.Conv2d(4, 12, (3, 2), stride=(2, 1), padding=(2, 0), dilation=(1, 2)), (2, 4, 9, 9)),
    "2d-same": (nn.Conv2d(4, 12, 3, padding="same", dilation=2, bias=False), (2, 4, 9, 9)),
    "2d-valid": (nn.Conv2d(4, 12, 3, padding="valid", bias=False), (2, 4, 9, 9)),
    "2d-circular": (nn.Conv2d(4, 12, 3, padding=(2, 1), padding_mode="circular"), (2, 4, 9, 9)),
    "2d-reflect": (nn.Conv2d(4, 12, 3, stride=2, padding=1, padding_mode="reflect"), (2, 4, 9, 9)),
    "2d-replicate": (nn.Conv2d(4, 12, 3, padding=1, padding_mode="replicate"), (2, 4, 9, 9)),
    "2d-same-reflect": (nn.Conv2d(4, 12, 3, padding="same", padding_mode="reflect"), (2, 4, 9, 9)),
    "3d": (nn.Conv3d(2, 12, (2, 3, 1), stride=2, padding=(1, 0, 0)), (2, 2, 6, 7, 6)),
}
every_convolution = pytest.mark.parametrize("name", CONVOLUTIONS)
every_scheme = pytest.mark.parametrize("scheme", ["kernel", "separable"])


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def second_way(weight: Tensor) -> Tensor:
    """The matrix of the second way, by hand: outputs and later half of the kernel by channels and earlier."""
    outputs, channels, *kernel = weight.shape
    half = len(kernel) // 2
    first = prod(kernel[:half])
    parted = weight.detach().reshape(outputs, channels, first, -1)  # outputs, channels, first, second
    return torch.stack([parted[o, :, :, s].flatten() for o in range(outputs) for s in range(parted.shape[3])])


def nearest(matrix: Tensor, rank: int) -> Tensor:
    """Eckart and Young."""
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    return ((u[:, :rank] * s[:rank]) @ vh[:rank]).to(matrix.dtype)


@every_scheme
@every_convolution
def test_at_full_rank_two_compute_what_one_did(name: str, scheme: str) -> None:
    layer, shape = CONVOLUTIONS[name]
    all_of_it = singular(as_matrix(layer, scheme))
    made, inputs = factored(layer, all_of_it.inner, all_of_it.outer, scheme), random_inputs(*shape)
    assert [type(part) for part in made] == [type(layer)] * 2  # type: ignore[arg-type]
    torch.testing.assert_close(made(inputs), layer(inputs), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made.weight, layer.weight, atol=1e-5, rtol=1e-4)
    assert made.bias is layer.bias


@every_convolution
def test_the_second_way_is_the_nearest_of_its_matrix(name: str) -> None:
    layer, shape = CONVOLUTIONS[name]
    wanted = second_way(layer.weight)
    torch.testing.assert_close(as_matrix(layer, "separable"), wanted)
    recipe: list[object] = [["structure_optimization", {"scheme": "separable", "rank": 0.3}]]
    variant = edited(nn.Sequential(layer, nn.Flatten()), recipe, random_inputs(*shape))[0]  # type: ignore[index]
    rank = rank_of(0.3, wanted.shape)
    assert isinstance(variant, FactoredConvolution)
    torch.testing.assert_close(second_way(variant.weight), nearest(wanted, rank), atol=1e-5, rtol=1e-4)
    weights = sum(part.weight.numel() for part in variant)
    assert weights == rank * sum(wanted.shape)


def test_the_two_kernels_of_the_second_way() -> None:
    net = nn.Sequential(nn.Conv2d(4, 12, (3, 5), padding=(1, 2)), nn.Flatten())
    way = [["structure_optimization", {"scheme": "separable", "rank": 0.2}]]
    two = edited(net, list(way), random_inputs(2, 4, 9, 9))[0]  # type: ignore[index]
    assert [part.kernel_size for part in two] == [(3, 1), (1, 5)]
    net = nn.Sequential(nn.Conv1d(8, 12, 5), nn.Flatten())
    two = edited(net, list(way), random_inputs(2, 8, 9))[0]  # type: ignore[index]
    assert [part.kernel_size for part in two] == [(1,), (5,)]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("kind", ["random", "across", "down"])
def test_the_best_way_is_the_smaller_at_equal_energy(kind: str, share: float) -> None:
    layer = nn.Conv2d(6, 10, 5, bias=False)
    if kind != "random":  # hardly anything but filters of one shape in one direction
        flat = random_inputs(10, 6, 5, 1) * random_inputs(1, 1, 1, 5, seed=2)
        weight = flat + 0.05 * random_inputs(10, 6, 5, 5, seed=3)
        layer.weight = nn.Parameter(weight if kind == "across" else weight.transpose(2, 3))
    sizes, energies = {}, {}
    for scheme in ("kernel", "separable"):
        matrix = as_matrix(layer, scheme)
        energies[scheme], sizes[scheme] = torch.linalg.svdvals(matrix.double()).square(), sum(matrix.shape)
    rank = rank_of(share, as_matrix(layer).shape)
    kept = float(energies["kernel"][:rank].sum() / energies["kernel"].sum())
    costs = {"kernel": rank * sizes["kernel"]}
    costs["separable"] = energy_rank(energies["separable"], kept) * sizes["separable"]
    inputs = random_inputs(2, 6, 8, 8)
    step = ["structure_optimization", {"scheme": "best", "rank": share}]
    variant = edited(nn.Sequential(layer, nn.Flatten()), [step], inputs)[0]  # type: ignore[index]
    left = sum(p.numel() for p in variant.parameters())
    assert left == min(*costs.values(), layer.weight.numel())
    whole = layer.weight.detach().double()
    lost = (variant.weight.detach() - whole).square().sum() / whole.square().sum()
    assert float(lost) <= 1 - kept + 1e-6


@every_scheme
def test_the_break_even_rank_is_the_last_at_which_two_are_smaller(scheme: str) -> None:
    shape = as_matrix(nn.Conv2d(6, 10, 3), scheme).shape
    most, size = break_even(shape), prod(shape)
    assert most * sum(shape) < size <= (most + 1) * sum(shape)
    net = nn.Sequential(nn.Conv2d(6, 10, 3), nn.Flatten(), nn.Linear(10, 2))
    way = {"scheme": scheme}
    full = min(shape)
    for rank in (most, most + 1):
        step = ["structure_optimization", {**way, "rank": rank / full}]
        variant = edited(net, [step], random_inputs(3, 6, 3, 3))
        assert isinstance(variant[0], FactoredConvolution) == (rank == most)  # type: ignore[index]
    said = Recipe.of([["structure_optimization", way]]).steps[0].treats(net, "0")
    assert said == (True, f"two factors would be no smaller: they pay up to rank {most} of {full}")


@every_scheme
def test_directions_by_lot_are_as_many(scheme: str) -> None:
    net = nn.Sequential(nn.Conv2d(6, 10, 3), nn.Flatten())
    inputs = random_inputs(3, 6, 5, 5)
    made = [
        edited(net, [["structure_optimization", {"form": form, "scheme": scheme, "rank": 0.4}]], inputs)
        for form in ("low_rank", "random")
    ]
    assert [p.shape for p in made[0].parameters()] == [p.shape for p in made[1].parameters()]
    assert contents(made[0]) != contents(made[1])


@pytest.mark.parametrize("scheme", ["kernel", "separable", "best"])
@pytest.mark.parametrize("model", ["residual", "conv"])
def test_parameters_only_grow_with_the_rank(model: str, scheme: str) -> None:
    context = Context.of(tiny(model), torch.device("cpu"))
    sizes = []
    for step in range(0, 21):
        recipe = Recipe.of([["structure_optimization", {"scheme": scheme, "rank": step / 20}]])
        sizes.append(sum(p.numel() for p in recipe.apply_in(context).parameters()))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


class Standardised(nn.Conv2d):
    """Whose weight is not what it computes with."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Centred(nn.Conv2d):
    """The same, one call deeper."""

    def _conv_forward(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(inputs, weight - weight.mean(), bias)


class Named(nn.Conv2d):
    """A convolution under another name."""


@pytest.mark.parametrize("kind", [Standardised, Centred])
def test_a_layer_with_a_forward_of_its_own_is_left_alone(kind: type[nn.Conv2d]) -> None:
    inputs = random_inputs(2, 6, 5, 5)
    net = nn.Sequential(kind(6, 10, 3), nn.ReLU(), Named(10, 10, 3), nn.Flatten())
    variant = edited(net, [["structure_optimization", {"rank": 0.2}]], inputs)
    assert type(variant[0]) is kind  # type: ignore[index]
    assert [type(part) for part in variant[2]] == [nn.Conv2d] * 2  # type: ignore[index]
    step = Recipe.of([["structure_optimization", {}]]).steps[0]
    assert step.treats(net, "0") == (False, "it is no linear layer or convolution")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: nn.Conv2d(6, 6, 3, groups=6), "several groups"),
        (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 6)), "no linear layer"),
        (lambda: nn.BatchNorm2d(6), "no linear layer"),
    ],
)
def test_what_stays_says_why(make: object, why: str) -> None:
    net = nn.Sequential(make())  # type: ignore[operator]
    able, said = Recipe.of([["structure_optimization", {}]]).steps[0].treats(net, "0")
    assert not able
    assert why in said


@pytest.mark.parametrize("scheme", ["kernel", "separable"])
def test_a_repair_brings_either_way_nearer(scheme: str) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12),
        nn.ReLU(), nn.Flatten(), nn.Linear(12 * 36, 3),
    ).eval()  # fmt: skip
    inputs = random_inputs(80, 3, 6, 6)
    context = context_of(explored(net, inputs))
    thin: list[object] = [["structure_optimization", {"scheme": scheme, "rank": 0.3}]]
    cut, repaired = (
        Recipe.of(steps).apply_in(context) for steps in (thin, [*thin, ["repair", {"examples": 80, "batch_size": 80}]])
    )
    assert isinstance(repaired[0], FactoredConvolution)  # type: ignore[index]
    with torch.no_grad():
        far = [float((model(inputs) - net(inputs)).square().mean()) for model in (cut, repaired)]
    assert far[1] < 0.8 * far[0]


def test_a_layer_in_two_that_was_cut_again_is_left_by_repair() -> None:
    net = nn.Sequential(nn.Linear(60, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    cuts: list[object] = [["structure_optimization", {"rank": rank}] for rank in (5 / 6, 0.6)]
    inputs = random_inputs(50, 60)
    twice = edited(net, cuts, inputs)
    assert [len(list(part.modules())) for part in twice[0]] == [3, 1]  # type: ignore[index]  # the first alone again
    variant = edited(net, [*cuts, ["repair", {}]], inputs)
    assert contents(variant[0]) == contents(twice[0])  # type: ignore[index]
    assert contents(variant) != contents(twice)
