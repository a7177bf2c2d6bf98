"""A layer's weights in closed form: least squares on what it is given and what it should give."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ITERATIONS = 100  # of conjugate gradients
SMALL = 1e-10  # of a residual's square, beside its first
TINY = 1e-12
EVENLY = 10.0  # tried from 0 to 100 on the four nets of benchmarks/frontier.py
LEAST = 1e-3  # that an output counts, beside the one that counts most


@dataclass
class Moments:
    """Means and centred second moments of rows (x, y), added up so that the rows need not be kept.

    x    what a layer is given: (rows, groups, inputs)
    y    what it should give: (rows, groups, outputs)
    """

    rows: int
    x_mean: Tensor  # groups, inputs
    y_mean: Tensor  # groups, outputs
    xx: Tensor  # groups, inputs, inputs
    xy: Tensor  # groups, inputs, outputs

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> Moments:
        """The moments of these rows."""
        x_mean, y_mean = x.mean(0), y.mean(0)
        given, wanted = (x - x_mean).transpose(0, 1), (y - y_mean).transpose(0, 1)  # groups, rows, ...
        turned = given.transpose(1, 2)
        return cls(len(x), x_mean.double(), y_mean.double(), (turned @ given).double(), (turned @ wanted).double())

    def __add__(self, other: Moments) -> Moments:
        """Of both: the means lie between, and their distance adds to the second moments."""
        rows = self.rows + other.rows
        share, weight = other.rows / rows, self.rows * other.rows / rows
        x, y = other.x_mean - self.x_mean, other.y_mean - self.y_mean
        return Moments(
            rows,
            self.x_mean + share * x,
            self.y_mean + share * y,
            self.xx + other.xx + weight * x[:, :, None] * x[:, None, :],
            self.xy + other.xy + weight * x[:, :, None] * y[:, None, :],
        )

    def uncentred(self) -> Moments:
        """About zero instead of the means: what a layer without a bias is solved with."""
        x, y = self.x_mean, self.y_mean
        return Moments(
            self.rows,
            torch.zeros_like(x),
            torch.zeros_like(y),
            self.xx + self.rows * x[:, :, None] * x[:, None, :],
            self.xy + self.rows * x[:, :, None] * y[:, None, :],
        )

    def system(self, ridge: float, weight: Tensor) -> tuple[Tensor, Tensor]:
        """A and B of the normal equations W·A = B, drawn towards the weight that stands there.

        A = X^T X + λ·1 and B = Y^T X + λ·W_0 with λ = ridge · mean(diag(X^T X))

        weight    W_0: (groups, outputs, inputs)
        """
        a = self.xx.clone()
        diagonal = a.diagonal(dim1=1, dim2=2)
        least = ridge * diagonal.mean(1, keepdim=True).clamp_min(TINY)  # groups, 1
        diagonal.add_(least)
        return a, self.xy.transpose(1, 2) + least[:, :, None] * weight.double()


def ridge_weight(moments: Moments, ridge: float, weight: Tensor) -> Tensor:
    """argmin over W of |Y − X·W^T|² + λ·|W − W_0|²: (groups, outputs, inputs), double.

    weight    W_0, of the same shape. Where it holds zeros, W holds them, too: each output is solved on its own support
    """
    a, b = moments.system(ridge, weight)
    alive = weight != 0
    if bool(alive.all()):
        solved: Tensor = torch.linalg.solve(a, b.transpose(1, 2))
        return solved.transpose(1, 2)
    return _on_support(a, b, weight.double(), alive.to(a.dtype))


def _on_support(a: Tensor, b: Tensor, start: Tensor, alive: Tensor) -> Tensor:
    """W·A = B for each row of W on its own support, by conjugate gradients: one product for all rows a turn.

    A factorisation for each row would cost outputs · inputs³ / 3; this costs outputs · inputs² a turn.
    """
    scale = a.diagonal(dim1=1, dim2=2)[:, None, :].reciprocal()  # the diagonal as preconditioner
    w = start.clone()
    residual = alive * (b - w @ a)
    direction = steep = residual * scale
    energy = (residual * steep).sum(2, keepdim=True)
    least = SMALL * energy.clamp_min(TINY)
    for _ in range(ITERATIONS):
        moved = alive * (direction @ a)
        step = energy / (direction * moved).sum(2, keepdim=True).clamp_min(TINY * TINY)
        w = w + step * direction
        residual = residual - step * moved
        steep = residual * scale
        before, energy = energy, (residual * steep).sum(2, keepdim=True)
        if bool((energy <= least).all()):
            break
        direction = steep + energy / before.clamp_min(TINY * TINY) * direction
    return w


def reduced_rank(moments: Moments, ridge: float, weight: Tensor, counts: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """argmin over B (m × r) and C (r × n) of |D·(B·C − W)·M^(1/2)|²: W the ridge solution, M = A + μ·1 with
    μ = 10 · mean(diag(A)), so that a direction counts by how much it is used and by how large the weights in it are.

    With μ = 0 this is the least squares of the outputs, and measurably worse after the next layers: what hardly varies
    tells the classes apart, too.

    weight    W_0, towards which the ridge draws: (m, n)
    counts    the diagonal of D, how much each output counts: (m,)

    Source: Izenman, Reduced-rank regression for the multivariate linear model, J. Multivariate Analysis 5 (1975).
    """
    a, b = (part[0] for part in moments.system(ridge, weight[None]))
    full = torch.linalg.solve(a, b.T).T  # m, n
    scale = counts.to(full).clamp_min(LEAST * float(counts.max()))[:, None]
    evenly = EVENLY * a.diagonal().mean()
    spread = (scale * full) @ (a + evenly * torch.eye(len(a), dtype=a.dtype, device=a.device)) @ (scale * full).T
    directions = torch.linalg.eigh((spread + spread.T) / 2).eigenvectors[:, -rank:]  # m, r
    return directions / scale, directions.T @ (scale * full)


def intercept(moments: Moments, weight: Tensor) -> Tensor:
    """What is left of the mean that should come out: (groups, outputs)."""
    return moments.y_mean - (weight @ moments.x_mean[:, :, None])[:, :, 0]
