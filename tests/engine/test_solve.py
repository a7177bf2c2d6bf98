"""Least squares in closed form, against solutions that are found another way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.edit.factors import factored
from engine.edit.repairing import _statistics
from engine.edit.rows import inputs_at, outputs_at, real_places, row_count, some_rows
from engine.edit.solvable import solve
from engine.edit.solve import Moments, intercept, reduced_rank, ridge_weight

RIDGE = 1e-2


def rows(n: int, groups: int, width: int, seed: int) -> Tensor:
    return torch.randn(n, groups, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 1


@pytest.fixture(params=[1, 3])
def drawn(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and a weight to stay near, in that many groups."""
    groups = request.param
    return rows(80, groups, 7, 1), rows(80, groups, 5, 2), rows(5, groups, 7, 3).transpose(0, 1)


def test_moments_add_up(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    x, y, _ = drawn
    parts = Moments.of(x[:13], y[:13]) + Moments.of(x[13:50], y[13:50]) + Moments.of(x[50:], y[50:])
    for name, value in vars(Moments.of(x, y)).items():
        torch.testing.assert_close(getattr(parts, name), value)


def test_the_ridge_solution_is_that_of_a_longer_least_squares(drawn: tuple[Tensor, Tensor, Tensor]) -> None:
    x, y, start = drawn
    moments = Moments.of(x, y)
    found = ridge_weight(moments, RIDGE, start)
    for group in range(x.shape[1]):
        given, wanted = x[:, group] - x[:, group].mean(0), y[:, group] - y[:, group].mean(0)
        least = (RIDGE * given.square().sum(0).mean()).sqrt()
        design = torch.cat([given, least * torch.eye(7, dtype=x.dtype)])
        target = torch.cat([wanted, least * start[group].T])
        torch.testing.assert_close(found[group].T, torch.linalg.lstsq(design, target).solution)
    rest = y - torch.einsum("rgi,goi->rgo", x, found) - intercept(moments, found)
    torch.testing.assert_close(rest.mean(0), torch.zeros_like(rest[0]), atol=1e-12, rtol=0)


@pytest.mark.parametrize("alive", [0.1, 0.5, 0.9])
def test_on_a_support_each_output_is_solved_by_itself(drawn: tuple[Tensor, Tensor, Tensor], alive: float) -> None:
    x, y, start = drawn
    mask = torch.rand(start.shape, generator=torch.Generator().manual_seed(4)) < alive
    start = start * mask
    moments = Moments.of(x, y)
    found = ridge_weight(moments, RIDGE, start)
    assert (found[~mask] == 0).all()
    a, b = moments.system(RIDGE, start)
    for group, output in ((g, o) for g in range(x.shape[1]) for o in range(5)):
        kept = mask[group, output].nonzero().flatten()
        wanted = torch.linalg.solve(a[group][kept][:, kept], b[group, output, kept])
        torch.testing.assert_close(found[group, output, kept], wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_two_factors_are_the_best_of_their_rank_in_their_metric(rank: int) -> None:
    x, y = rows(80, 1, 7, 1), rows(80, 1, 5, 2)
    start, counts = rows(5, 1, 7, 3)[:, 0], torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    moments = Moments.of(x, y)
    outer, inner = reduced_rank(moments, RIDGE, start, counts, rank)
    assert (outer.shape, inner.shape) == ((5, rank), (rank, 7))
    full = ridge_weight(moments, RIDGE, start[None])[0]
    a = moments.system(RIDGE, start[None])[0][0]
    root = torch.linalg.cholesky(a + 10 * a.diagonal().mean() * torch.eye(7, dtype=a.dtype))
    u, s, v = torch.linalg.svd(counts[:, None] * full @ root, full_matrices=False)
    best = (u[:, :rank] * s[:rank] @ v[:rank]) @ torch.linalg.inv(root) / counts[:, None]
    torch.testing.assert_close(outer @ inner, best)


def test_two_factors_are_held_more_strongly_than_a_weight_that_is_used_as_it_is() -> None:
    x, y = rows(80, 1, 7, 1).float(), rows(80, 1, 5, 2).float()
    full = nn.Linear(7, 5)

    def solved(ridge: float) -> Tensor:
        u, s, v = torch.linalg.svd(full.weight.detach(), full_matrices=False)
        layer = factored(full, v[:3], u[:, :3] * s[:3])
        solve(layer, Moments.of(x, y), ridge, whole=full.weight.detach()[None])
        return layer[1].weight.detach() @ layer[0].weight.detach()

    torch.testing.assert_close(solved(1e-3), solved(0.3))
    assert not torch.allclose(solved(0.3), solved(1.0), atol=1e-3)


def test_the_variance_of_large_values_in_half_precision_is_finite() -> None:
    x = 300 * torch.randn(64, 3, 5, generator=torch.Generator().manual_seed(0)).half()  # 300² does not fit
    mean, variance = _statistics(x)
    torch.testing.assert_close(mean, x.double().mean((0, 2)).float(), atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(variance, x.double().var((0, 2), correction=0).float())


CONVOLUTIONS = {
    "strided": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2), (5, 4, 9, 8)),
    "depthwise": (nn.Conv1d(4, 4, 3, padding="same", dilation=2, groups=4, padding_mode="reflect"), (3, 4, 11)),
    "volume": (nn.Conv3d(2, 3, 2, stride=2), (2, 2, 5, 6, 7)),
    "circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 2, 5, 5)),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_patches_times_the_weight_are_what_the_layer_gives(kind: str) -> None:
    conv, shape = CONVOLUTIONS[kind]
    x = torch.randn(shape)
    y = conv(x)
    chosen = some_rows(row_count(conv, y), 20, 0)
    assert len(chosen) == 20
    weight = conv.weight.view(conv.groups, conv.out_channels // conv.groups, -1)
    given = torch.einsum("rgi,goi->rgo", inputs_at(conv, x, chosen), weight).flatten(1) + conv.bias
    torch.testing.assert_close(given, outputs_at(conv, y, chosen), atol=1e-5, rtol=1e-4)


def test_padding_is_left_out() -> None:
    texts = torch.tensor([[4, 5, 0, 0], [4, 0, 0, 0], [4, 5, 6, 7]])
    wanted = torch.tensor([[True, True, False, False], [True, False, False, False], [True] * 4])
    assert torch.equal(real_places(texts), wanted)
    assert torch.equal(real_places({"input_ids": texts, "attention_mask": wanted.long()}), wanted)
    assert real_places(torch.randn(3, 4)) is None
    assert some_rows(12, 100, 0, wanted).tolist() == [0, 1, 4, 8, 9, 10, 11]
