"""Factors for what a layer is given: what they lose, against independent computation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.edit.factors import as_matrix
from engine.edit.spectra import whitened
from tests.methods.nets import edited, random_inputs
from tests.methods.structures import mixed, step


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


LAYERS = {
    "wide": (lambda bias: nn.Linear(24, 10, bias=bias), (300, 24)),
    "tall": (lambda bias: nn.Linear(10, 24, bias=bias), (300, 10)),
    "tokens": (lambda bias: nn.Linear(16, 16, bias=bias), (40, 5, 16)),
    "conv": (lambda bias: nn.Conv2d(3, 10, 3, padding=1, bias=bias), (12, 3, 6, 6)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
with_or_without_bias = pytest.mark.parametrize("bias", [True, False])


def rows_of(layer: nn.Module, inputs: Tensor) -> Tensor:
    """What the weight is multiplied with, by torch's own unfold: (rows, columns)."""
    if isinstance(layer, nn.Conv2d):
        return F.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride).mT.flatten(0, 1)
    return inputs.flatten(0, -2)


def one_layer(name: str, bias: bool) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """The layer, its inputs, its rows and a square root of what they have in common, by Cholesky; double."""
    make, shape = LAYERS[name]
    layer, width = make(bias).double(), shape[1] if len(shape) == 4 else shape[-1]
    flat = mixed(torch.Size(shape).numel() // width, width, shift=1.0)
    inputs = flat.view(shape[0], *shape[2:], width).movedim(-1, 1) if len(shape) == 4 else flat.view(shape)
    rows = rows_of(layer, inputs)
    about = rows - rows.mean(0) if bias else rows
    return layer, inputs.contiguous(), rows, torch.linalg.cholesky(about.T @ about / len(rows))


@with_or_without_bias
@every_layer
@pytest.mark.parametrize("share", [0.1, 0.25, 0.45])
def test_the_dropped_singular_values_squared_are_the_output_error(name: str, bias: bool, share: float) -> None:
    layer, inputs, rows, root = one_layer(name, bias)
    thin = edited(layer, step("whitened", rank=share, ridge=1e-8, examples=len(inputs)), inputs)
    rank = len(thin[0].weight)  # type: ignore[index]
    values = torch.linalg.svdvals(as_matrix(layer) @ root)
    dropped = float(values[rank:].square().sum())
    with torch.no_grad():
        error = float((thin(inputs) - layer(inputs)).square().sum()) / len(rows)
    assert error == pytest.approx(dropped, rel=1e-4)
    if bias:  # and the mean stays
        with torch.no_grad():
            off = (thin(inputs) - layer(inputs)).movedim(1 if name == "conv" else -1, -1).flatten(0, -2).mean(0)
        assert float(off.abs().max()) < 1e-9


@with_or_without_bias
@every_layer
def test_no_other_factors_of_that_rank_are_nearer(name: str, bias: bool) -> None:
    layer, inputs, _, root = one_layer(name, bias)
    matrix = as_matrix(layer)
    thin = edited(layer, step("whitened", rank=0.3, ridge=1e-8, examples=len(inputs)), inputs)
    inner, outer = (part.weight.detach().flatten(1) for part in thin)

    def error(outer: Tensor, inner: Tensor) -> float:
        return float(((matrix - outer @ inner) @ root).square().sum())

    least = error(outer, inner)
    u, s, vh = torch.linalg.svd(matrix)
    rank = len(inner)
    assert least < 0.9 * error(u[:, :rank] * s[:rank], vh[:rank])
    dice = torch.Generator().manual_seed(3)
    for size_ in (1e-3, 1e-2, 0.1):
        for _ in range(20):
            b, c = (
                x + size_ * x.abs().mean() * torch.randn(x.shape, dtype=x.dtype, generator=dice) for x in (outer, inner)
            )
            assert error(b, c) >= least


def test_the_ridge_leads_from_outputs_to_weights() -> None:
    layer, inputs, _, root = one_layer("wide", True)
    u, s, vh = torch.linalg.svd(layer.weight.detach())
    plain, off_weights, off_outputs = (u[:, :3] * s[:3]) @ vh[:3], [], []
    for ridge in (1e-8, 0.01, 1.0, 100.0):
        thin = edited(layer, step("whitened", rank=0.3, ridge=ridge, examples=300), inputs)
        left = layer.weight.detach() - thin.weight.detach()
        off_weights.append(float((thin.weight.detach() - plain).norm()))
        off_outputs.append(float((left @ root).norm()))
    assert off_weights == sorted(off_weights, reverse=True)
    assert off_outputs == sorted(off_outputs)
    assert off_weights[-1] < 0.05 * off_weights[0]


@pytest.mark.parametrize(("m", "n"), [(6, 9), (9, 6)])
def test_both_sides_are_whitened(m: int, n: int) -> None:
    """|H^(1/2)·(W − W_r)·A^(1/2)|² is Σ σ_i² of what goes, and all of the directions are W."""
    weight, x, y = (random_inputs(*s, seed=i).double() for i, s in enumerate([(m, n), (40, n), (40, m)]))
    a, h = x.T @ x / 40, y.T @ y / 40
    found = whitened(weight, a, h)
    torch.testing.assert_close(found.outer @ found.inner, weight)
    roots = [torch.linalg.cholesky(part) for part in (h, a)]
    torch.testing.assert_close(found.energy.sqrt(), torch.linalg.svdvals(roots[0].T @ weight @ roots[1]))
    for rank in range(1, 6):
        left = weight - found.outer[:, :rank] @ found.inner[:rank]
        lost = (roots[0].T @ left @ roots[1]).square().sum()
        torch.testing.assert_close(lost, found.energy[rank:].sum())


def test_inputs_that_never_vary_do_no_harm() -> None:
    inputs = torch.zeros(50, 20)
    inputs[:, :3] = random_inputs(50, 3)
    net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))
    for form, more in (("whitened", {"ridge": 1e-8}), ("rotated", {})):
        variant = edited(net, step(form, rank=3 / 16, examples=50, **more), inputs)
        torch.testing.assert_close(variant[0](inputs), net[0](inputs), atol=1e-4, rtol=1e-4)  # type: ignore[index]
