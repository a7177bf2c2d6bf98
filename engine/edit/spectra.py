"""A layer's matrix as a sum of directions, those first that matter most in some metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from engine.edit.calibration import Given, damped
from engine.edit.factors import as_matrix

FLATLY = 0.1  # of the mean slope: how steep every output is taken to be at least; 0.1 to 1 differ little
EVENLY = 1e-6  # of the mean input


@dataclass(frozen=True)
class Spectrum:
    """M = outer · inner; without the last columns and rows, what is nearest to M at that rank.

    outer     rows × directions
    inner     directions × columns
    energy    what is lost without each direction, falling: (directions,), double
    """

    outer: Tensor
    inner: Tensor
    energy: Tensor

    def to(self, dtype: torch.dtype) -> Spectrum:
        """The same with factors of that dtype."""
        return Spectrum(self.outer.to(dtype), self.inner.to(dtype), self.energy)


def singular(weight: Tensor) -> Spectrum:
    """Of M itself: outer = M·V, inner = V^T, V the right singular vectors; energy σ².

    weight    M: (rows, columns)
    """
    _, values, rows = torch.linalg.svd(weight.double(), full_matrices=False)
    return Spectrum(weight.double() @ rows.T, rows, values.square())


def whitened(weight: Tensor, moment: Tensor, slopes: Tensor | None = None) -> Spectrum:
    """Of H^(1/2)·M·A^(1/2) = U·Σ·V^T: outer = H^(-1/2)·U, inner = U^T·H^(1/2)·M; energy σ². So outer · inner is M,
    its first r directions the matrix of rank r that is nearest in E|H^(1/2)·(M − M_r)·x|², and σ² what each is worth.

    With H = 1 this is U_r·Σ_r·V_r^T·A^(-1/2) of SVD-LLM, without an inverse, so A may be singular.

    weight    M: (rows, columns)
    moment    A = E[x x^T]: (columns, columns)
    slopes    H: (rows, rows), positive definite; None for 1

    Source: Wang et al., SVD-LLM, arXiv 2403.07378.
    """
    weight = weight.double()
    root, back = (None, None) if slopes is None else _roots(slopes)
    scaled = weight if root is None else root @ weight
    if len(weight) <= weight.shape[1]:
        values, vectors = falling(scaled @ moment @ scaled.T)
    else:
        half, _ = _roots(moment)
        vectors, sizes, _ = torch.linalg.svd(scaled @ half, full_matrices=False)
        values = sizes.square()
    return Spectrum(vectors if back is None else back @ vectors, vectors.T @ scaled, values)


def principal(weight: Tensor, values: Tensor, axes: Tensor) -> Spectrum:
    """Of what M is given: outer = M·Q, inner = Q^T, so that the first r directions stand for a slice of the rotated
    input; energy the variance along them.

    weight    M: (rows, columns)
    values    the variances, falling: (columns,)
    axes      Q, the principal axes of what M is given: (columns, columns)

    Source: Ashkboos et al., SliceGPT, arXiv 2401.15024.
    """
    return Spectrum(weight.double() @ axes, axes.T, values)


def spectrum_of(layer: nn.Module, given: Given, ridge: float, slopes: Tensor | None = None) -> Spectrum:
    """The spectrum of a layer, whitened by what it is given.

    ridge     what is added to A, beside the mean of its diagonal: from outputs to weights as it grows
    slopes    H of its outputs, made positive definite here
    """
    weight, moment = as_matrix(layer), about_mean(layer, given)
    steep = None if slopes is None else damped(slopes[None], FLATLY)[0]
    return whitened(weight, damped(moment[None], ridge)[0], steep).to(weight.dtype)


def about_mean(layer: nn.Module, given: Given) -> Tensor:
    """Var[x] for a layer with a bias, which takes care of the mean; E[x x^T] for one without."""
    mean, moment = given.mean[0], given.moment[0]
    return moment if layer.bias is None else moment - torch.outer(mean, mean)


def moved_bias(layer: nn.Module, inner: Tensor, outer: Tensor, given: Given) -> Tensor | None:
    """b + (M − outer · inner)·E[x]: the bias with which the mean of the outputs stays; None where there is none."""
    if layer.bias is None:
        return None
    rest = as_matrix(layer).double() - outer.double() @ inner.double()
    return cast("Tensor", layer.bias).detach().double() + rest @ given.mean[0]


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The symmetric square root and its inverse; of what is singular, the inverse is no use."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    sizes = values.clamp_min(0).sqrt()
    return (vectors * sizes) @ vectors.T, (vectors / sizes.clamp_min(torch.finfo(sizes.dtype).tiny)) @ vectors.T


def falling(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, not below zero, and eigenvectors, the largest first."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return values.flip(0).clamp_min(0), vectors.flip(1)
